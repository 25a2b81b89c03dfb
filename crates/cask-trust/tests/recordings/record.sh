#!/usr/bin/env bash
# Records what skopeo does with every policy of policies.tsv.
#
# Each text becomes the --policy of `skopeo copy dir:a dir:b`, and one row of skopeo-VERSION.tsv:
# the policy's name, the outcome, and skopeo's message. Outcomes are
#   accepted   the image was copied
#   rejected   the policy is valid, the image was not allowed
#   invalid    the policy itself was refused
# @DIR@ stands for the directory that holds the image, in the texts and in the messages.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")"

version=$(skopeo --version | cut -d' ' -f3)
work=$(realpath "$(mktemp -d)")
trap 'rm -rf "$work"' EXIT

make_image() {
    mkdir "$work/a"
    printf 'Directory Transport Version: 1.1\n' >"$work/a/version"
    local config layer config_hex layer_hex
    layer=$(head -c 1024 /dev/zero | base64 -w0)
    layer_hex=$(base64 -d <<<"$layer" | sha256sum | cut -d' ' -f1)
    base64 -d <<<"$layer" >"$work/a/$layer_hex"
    config="{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:$layer_hex\"]}}"
    config_hex=$(printf %s "$config" | sha256sum | cut -d' ' -f1)
    printf %s "$config" >"$work/a/$config_hex"
    printf %s "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"sha256:$config_hex\",\"size\":${#config}},\"layers\":[{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"sha256:$layer_hex\",\"size\":1024}]}" >"$work/a/manifest.json"
}

write_policy() {
    local text=${1//\\/\\\\}
    text=${text//@DIR@/$work}
    printf '%b' "${text//%/\\x}" >"$work/policy.json"
}

make_image
output=$PWD/skopeo-$version.tsv
echo "# Made by record.sh with skopeo $version: name, outcome, message." >"$output"
tail -n +2 policies.tsv | while IFS= read -r row; do
    name=${row%%$'\t'*}
    write_policy "${row#*$'\t'}"
    rm -rf "$work/b"
    if (cd "$work" && skopeo --policy policy.json copy --quiet dir:a dir:b) >"$work/out" 2>&1; then
        outcome=accepted message=
    else
        message=$(sed -n 's/^time="[^"]*" level=fatal msg="\(.*\)"$/\1/p' "$work/out" | sed 's/\\\(["\\]\)/\1/g')
        case $message in
        'Source image rejected: '*) outcome=rejected ;;
        'Error loading trust policy: '*) outcome=invalid ;;
        *) echo "unexpected output for $name:" >&2; cat "$work/out" >&2; exit 1 ;;
        esac
    fi
    printf '%s\t%s\t%s\n' "$name" "$outcome" "${message//$work/@DIR@}" >>"$output"
done
