#!/bin/bash
# Records what the real skopeo makes of manifests and configs, for conversions.rs to compare with.
#
# Needs skopeo and buildah. Run it in this directory, as root or in a user namespace
# (`buildah unshare`), after changing a config in configs/. What it writes is in version control:
#
#   <case>/manifest.json, <case>/config           the input: an image in Docker's format
#   <case>/to-oci.manifest.json, to-oci.config    skopeo copy --format oci
#
# and for some cases the ways back and through schema 1; see the functions below.
set -euo pipefail
here=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
skopeo --version > recorded-with.txt
buildah --version >> recorded-with.txt

digest() { sha256sum "$1" | cut -d' ' -f1; }
size() { stat -c %s "$1"; }
config_of() { sed -n 's/.*"config":{[^}]*"digest":"sha256:\([0-9a-f]*\)".*/\1/p' "$1/manifest.json"; }
copy() { skopeo --insecure-policy copy -q "$@" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }; }

# A dir: image of a config and layers: new_image DIRECTORY CONFIG FORMAT TYPE...
new_image() {
  local into=$1 config=$2 format=$3 number=0 separator='' manifest_type config_type
  shift 3
  case $format in
    docker)
      manifest_type=application/vnd.docker.distribution.manifest.v2+json
      config_type=application/vnd.docker.container.image.v1+json ;;
    oci)
      manifest_type=application/vnd.oci.image.manifest.v1+json
      config_type=application/vnd.oci.image.config.v1+json ;;
  esac
  rm -rf "$into"; mkdir -p "$into"
  printf 'Directory Transport Version: 1.1\n' > "$into/version"
  cp "$config" "$into/$(digest "$config")"
  {
    printf '{\n   "schemaVersion": 2,\n   "mediaType": "%s",\n' "$manifest_type"
    printf '   "config": {"mediaType": "%s", "size": %s, "digest": "sha256:%s"},\n' \
      "$config_type" "$(size "$config")" "$(digest "$config")"
    printf '   "layers": ['
    for type in "$@"; do
      number=$((number + 1))
      { printf 'file-%s\0' "$number"; head -c 10240 /dev/zero; } | head -c 10240 > "$work/layer"
      case $type in *gzip) gzip -n -f "$work/layer"; mv "$work/layer.gz" "$work/layer" ;; esac
      cp "$work/layer" "$into/$(digest "$work/layer")"
      printf '%s\n      {"mediaType": "%s", "size": %s, "digest": "sha256:%s"%s}' "$separator" \
        "$type" "$(size "$work/layer")" "$(digest "$work/layer")" "${LAYER_EXTRA:-}"
      separator=','
    done
    printf '\n   ]%s\n}\n' "${MANIFEST_EXTRA:-}"
  } > "$into/manifest.json"
}

# Docker to OCI.
record_to_oci() {
  local name=$1 from=$2
  mkdir -p "$name"
  cp "$from/manifest.json" "$name/manifest.json"
  tr -d ' \n' < "$from/manifest.json" > "$work/flat"; mkdir -p "$work/flat.d"; mv "$work/flat" "$work/flat.d/manifest.json"
  cp "$from/$(config_of "$work/flat.d")" "$name/config"
  rm -rf "$work/oci"
  copy --format oci "dir:$from" "dir:$work/oci"
  cp "$work/oci/manifest.json" "$name/to-oci.manifest.json"
  cp "$work/oci/$(config_of "$work/oci")" "$name/to-oci.config"
}

gz=application/vnd.docker.image.rootfs.diff.tar.gzip
tar=application/vnd.docker.image.rootfs.diff.tar
foreign=application/vnd.docker.image.rootfs.foreign.diff.tar
for config in configs/*.json; do
  name=$(basename "$config" .json)
  case $name in
    layers) LAYER_EXTRA=', "urls": ["https://example.com/a?b=<c>&d"]' \
      new_image "$work/src" "$config" docker $gz $tar $foreign $foreign.gzip ;;
    *) new_image "$work/src" "$config" docker $gz $gz ;;
  esac
  record_to_oci "$name" "$work/src"
done

# An image that buildah made, in Docker's format.
container=$(buildah from --format docker scratch)
mkdir "$work/context"; echo hello > "$work/context/hello"
buildah copy -q "$container" "$work/context/hello" /hello > /dev/null
buildah config --add-history --author 'Ünï <a&b>' --env 'A=1 <2> & 3' --env 'B=é😀' \
  --port 80/tcp --port 53/udp --volume /data --volume /cache --label 'x=<y>' --label a=b \
  --healthcheck 'CMD curl -f http://localhost/ || exit 1' --healthcheck-interval 30s \
  --onbuild 'RUN make' --shell '/bin/bash -c' --stop-signal SIGINT --user 1000:1000 \
  --workingdir /w --entrypoint '["/hello"]' --cmd 'one two' "$container"
buildah commit -q --format docker --timestamp 1700000000 "$container" "dir:$work/built" > /dev/null
buildah rm "$container" > /dev/null
record_to_oci buildah "$work/built"

# The same through schema 1: to it, and from it to both formats. Digests and DiffIDs of the
# layers come from skopeo.
for name in buildah history; do
  case $name in
    buildah) from=$work/built ;;
    history) new_image "$work/src" "configs/$name.json" docker $gz $gz; from=$work/src ;;
  esac
  rm -rf "$work/v1" "$work/v1-v2s2" "$work/v1-oci"
  copy --format v2s1 "dir:$from" "dir:$work/v1"
  copy --format v2s2 "dir:$work/v1" "dir:$work/v1-v2s2"
  copy --format oci "dir:$work/v1" "dir:$work/v1-oci"
  mkdir -p "schema1-$name"
  cp "$work/v1/manifest.json" "schema1-$name/manifest.json"
  for format in v2s2 oci; do
    cp "$work/v1-$format/manifest.json" "schema1-$name/to-$format.manifest.json"
    cp "$work/v1-$format/$(config_of "$work/v1-$format")" "schema1-$name/to-$format.config"
  done
done

# A schema 1 manifest of a Docker that left fields out.
new_image "$work/src" configs/minimal.json docker $gz
layer=$(sed -n 's/.*gzip".*sha256:\([0-9a-f]*\).*/\1/p' "$work/src/manifest.json")
# The empty layer that Docker puts into schema 1: 1024 zero bytes, gzipped.
printf '\37\213\10\0\0\11n\210\0\377b\30\5\243\140\24\214X\0\10\0\0\377\377.\257\265\357\0\4\0\0' \
  > "$work/src/a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4"
sed "s/LAYER/$layer/" schema1-old.template > "$work/src/manifest.json"
rm -rf "$work/v1-v2s2" "$work/v1-oci"
copy --format v2s2 "dir:$work/src" "dir:$work/v1-v2s2"
copy --format oci "dir:$work/src" "dir:$work/v1-oci"
mkdir -p schema1-old
cp "$work/src/manifest.json" schema1-old/manifest.json
for format in v2s2 oci; do
  cp "$work/v1-$format/manifest.json" "schema1-old/to-$format.manifest.json"
  cp "$work/v1-$format/$(config_of "$work/v1-$format")" "schema1-old/to-$format.config"
done

# OCI to Docker, and OCI with its layers decompressed: what is said of the image stays or goes.
oci=application/vnd.oci.image.layer
MANIFEST_EXTRA=', "annotations": {"z": "<&>", "a": "é"}' LAYER_EXTRA=', "annotations": {"l": "1"}' \
  new_image "$work/src" configs/minimal.json oci $oci.v1.tar+gzip $oci.v1.tar \
  $oci.nondistributable.v1.tar+gzip
rm -rf "$work/docker" "$work/decompressed"
copy --format v2s2 "dir:$work/src" "dir:$work/docker"
copy --dest-decompress "dir:$work/src" "dir:$work/decompressed"
mkdir -p oci
cp "$work/src/manifest.json" oci/manifest.json
cp "$work/docker/manifest.json" oci/to-v2s2.manifest.json
cp "$work/decompressed/manifest.json" oci/decompressed.manifest.json

# Docker with its layers decompressed.
new_image "$work/src" configs/minimal.json docker $gz $tar $foreign.gzip
rm -rf "$work/decompressed"
copy --dest-decompress "dir:$work/src" "dir:$work/decompressed"
mkdir -p docker
cp "$work/src/manifest.json" docker/manifest.json
cp "$work/decompressed/manifest.json" docker/decompressed.manifest.json

# A manifest list to an index, and back.
rm -rf "$work/list" "$work/index" "$work/list-again"; mkdir "$work/list"
printf 'Directory Transport Version: 1.1\n' > "$work/list/version"
{
  number=0
  printf '{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":['
  separator=''
  for platform in '"architecture":"amd64","os":"linux","features":["sse4"]' \
      '"variant":"v7","os":"linux","architecture":"arm"' \
      '"architecture":"amd64","os":"windows","os.version":"10.0.1","os.features":["win32k"]'; do
    sed "s/\"os\": *\"linux\"/\"os\":\"linux\",\"author\":\"$((++number))\"/" configs/minimal.json > "$work/config"
    new_image "$work/src" "$work/config" docker $gz
    for file in "$work/src"/*; do
      case $file in */manifest.json|*/version) ;; *) cp "$file" "$work/list/" ;; esac
    done
    manifest=$work/src/manifest.json
    cp "$manifest" "$work/list/$(digest "$manifest").manifest.json"
    printf '%s{"digest":"sha256:%s","size":%s,"mediaType":"%s","platform":{%s}}' "$separator" \
      "$(digest "$manifest")" "$(size "$manifest")" \
      application/vnd.docker.distribution.manifest.v2+json "$platform"
    separator=','
  done
  printf ']}'
} > "$work/list/manifest.json"
copy --all --format oci "dir:$work/list" "dir:$work/index"
copy --all --format v2s2 "dir:$work/index" "dir:$work/list-again"
mkdir -p "$here/list"
cp "$work/list/manifest.json" list/manifest.json
cp "$work/index/manifest.json" list/to-oci.manifest.json
cp "$work/list-again/manifest.json" list/to-v2s2.manifest.json
