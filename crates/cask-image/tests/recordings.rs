//! What we write is byte for byte what skopeo wrote: `recordings/record.sh` made the files.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

use std::path::{Path, PathBuf};

use bytes::Bytes;
use cask_image::{
    CompressionChange, Conversion, Descriptor, Digest, EncryptionChange, ImageManifest, Index,
    LayerChange, Manifest, RawManifest, Schema1, Schema1Blob,
};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings")
}

fn file(path: &str) -> Bytes {
    std::fs::read(directory().join(path)).unwrap_or_else(|error| panic!("{path}: {error}")).into()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn image(path: &str) -> ImageManifest {
    match RawManifest::guess(file(path)).unwrap().parse().unwrap() {
        Manifest::Image(image) => image,
        other => panic!("{path} is {other:?}"),
    }
}

fn index(path: &str) -> Index {
    match RawManifest::guess(file(path)).unwrap().parse().unwrap() {
        Manifest::Index(index) => index,
        other => panic!("{path} is {other:?}"),
    }
}

fn schema1(path: &str) -> Schema1 {
    match RawManifest::guess(file(path)).unwrap().parse().unwrap() {
        Manifest::Schema1(schema1) => schema1,
        other => panic!("{path} is {other:?}"),
    }
}

/// Compares a conversion with the recorded manifest and config.
fn check_recorded(conversion: &Conversion, path: &str) {
    if let Some(config) = &conversion.config {
        assert_eq!(text(config), text(&file(&format!("{path}.config"))), "{path}");
    }
    let manifest = conversion.manifest.encode();
    assert_eq!(text(manifest.bytes()), text(&file(&format!("{path}.manifest.json"))), "{path}");
    assert_eq!(manifest.parse().unwrap(), Manifest::Image(conversion.manifest.clone()));
}

fn check_to_oci(name: &str, losses: &[&str]) {
    let image = image(&format!("{name}/manifest.json"));
    let conversion = image.to_oci(&file(&format!("{name}/config"))).unwrap();
    let lost: Vec<String> = conversion.losses.iter().map(ToString::to_string).collect();
    assert_eq!(lost, losses, "{name}");
    check_recorded(&conversion, &format!("{name}/to-oci"));
}

#[test]
fn docker_images_become_the_oci_images_that_skopeo_makes() {
    check_to_oci("minimal", &[]);
    check_to_oci("nothing", &[]);
    check_to_oci("nulls", &[]);
    check_to_oci("null-parts", &[]);
    check_to_oci("null-elements", &[]);
    check_to_oci("empties", &[]);
    check_to_oci("text", &[]);
    check_to_oci("times", &[]);
    check_to_oci("case", &[]);
    check_to_oci("layers", &[]);
    check_to_oci(
        "history",
        &[
            "docker_version of the config",
            "container of the config",
            "container_config of the config",
            "config.Image of the config",
            "config.OnBuild of the config",
            "config.Healthcheck of the config",
        ],
    );
    check_to_oci(
        "unknown",
        &[
            "id of the config",
            "parent of the config",
            "[\"moby.buildkit.buildinfo.v1\"] of the config",
            "x-list of the config",
            "config.Shell of the config",
            "config.StopTimeout of the config",
            "rootfs.base_layer of the config",
            "history[0].x of the config",
        ],
    );
    check_to_oci(
        "buildah",
        &[
            "container of the config",
            "container_config of the config",
            "config.Hostname of the config",
            "config.Healthcheck of the config",
            "config.OnBuild of the config",
            "config.Shell of the config",
        ],
    );
    let configs = std::fs::read_dir(directory().join("configs")).unwrap().count();
    assert_eq!(configs + 1, 14, "each has a line above, or a test of its own, and so has buildah");
}

/// Since skopeo 1.9.3 two things changed: the specification's struct has the variant last, and Go
/// has a short form for two control characters.
#[test]
fn newer_releases_put_the_variant_last_and_shorten_two_escapes() {
    let image = image("newer-go/manifest.json");
    let conversion = image.to_oci(&file("newer-go/config")).unwrap();
    let ours = text(conversion.config.as_deref().unwrap());
    let theirs = text(&file("newer-go/to-oci.config"));
    assert!(
        theirs.contains(r#""architecture":"arm64","variant":"v8","os":"linux","os.version":"1""#)
    );
    assert!(theirs.contains(r#""author":"\u0008\u000c""#));
    assert_eq!(
        ours,
        theirs
            .replace(r#""variant":"v8","#, "")
            .replace(r#""os.version":"1""#, r#""os.version":"1","variant":"v8""#)
            .replace(r"\u0008\u000c", r"\b\f")
    );
}

/// The DiffIDs and sizes that skopeo found, from what it wrote.
fn recorded_blobs(name: &str) -> Vec<Schema1Blob> {
    let config = cask_image::ImageConfig::parse(file(&format!("{name}/to-v2s2.config"))).unwrap();
    let image = image(&format!("{name}/to-v2s2.manifest.json"));
    let blob = |(diff_id, layer): (&Digest, &Descriptor)| Schema1Blob {
        size: layer.size,
        diff_id: diff_id.clone(),
    };
    config.diff_ids.iter().zip(&image.layers).map(blob).collect()
}

#[test]
fn schema1_images_become_what_skopeo_makes() {
    for (name, layers, empty) in
        [("schema1-buildah", 14, 13), ("schema1-history", 4, 2), ("schema1-old", 2, 1)]
    {
        let schema1 = schema1(&format!("{name}/manifest.json"));
        assert_eq!(schema1.layers.len(), layers, "{name}");
        assert_eq!(schema1.layers.iter().filter(|layer| layer.is_empty).count(), empty, "{name}");
        assert_eq!(schema1.is_signed, name != "schema1-old", "{name}");
        let blobs = recorded_blobs(name);
        check_recorded(&schema1.to_docker(&blobs).unwrap(), &format!("{name}/to-v2s2"));
        check_recorded(&schema1.to_oci(&blobs).unwrap(), &format!("{name}/to-oci"));
    }
}

#[test]
fn oci_images_become_the_docker_images_that_skopeo_makes() {
    let conversion = image("oci/manifest.json").to_docker().unwrap();
    let lost: Vec<String> = conversion.losses.iter().map(ToString::to_string).collect();
    assert_eq!(
        lost,
        ["annotations", "layers[0].annotations", "layers[1].annotations", "layers[2].annotations"]
    );
    assert_eq!(conversion.config, None, "the config stays");
    check_recorded(&conversion, "oci/to-v2s2");
}

/// Skopeo drops what was said of a layer that it decompresses, and keeps it for others.
#[test]
fn changed_layers_are_written_as_skopeo_writes_them() {
    for name in ["oci", "docker"] {
        let before = image(&format!("{name}/manifest.json"));
        let recorded = format!("{name}/decompressed.manifest.json");
        let after = image(&recorded);
        let changes: Vec<LayerChange> = before
            .layers
            .iter()
            .zip(&after.layers)
            .map(|(before, after)| {
                if before.digest == after.digest {
                    return LayerChange::keep(before);
                }
                LayerChange {
                    digest: after.digest.clone(),
                    size: after.size,
                    compression: CompressionChange::To(cask_image::LayerCompression::None),
                    encryption: EncryptionChange::Keep,
                    urls: Vec::new(),
                    annotations: Default::default(),
                }
            })
            .collect();
        assert_eq!(changes.iter().filter(|c| c.compression != CompressionChange::Keep).count(), 2);
        let changed = before.with_layers(&changes).unwrap().encode();
        assert_eq!(text(changed.bytes()), text(&file(&recorded)), "{name}");
    }
}

#[test]
fn lists_and_indexes_become_what_skopeo_makes() {
    let named_by = |mut index: Index, other: &Index| {
        for (entry, other) in index.manifests.iter_mut().zip(&other.manifests) {
            (entry.digest, entry.size) = (other.digest.clone(), other.size);
            entry.media_type = other.media_type.clone();
        }
        index
    };
    let (list, oci) = (index("list/manifest.json"), index("list/to-oci.manifest.json"));
    let conversion = list.to_oci();
    let lost: Vec<String> = conversion.losses.iter().map(ToString::to_string).collect();
    assert_eq!(lost, ["manifests[0].platform.features"]);
    let encoded = named_by(conversion.manifest, &oci).encode();
    assert_eq!(text(encoded.bytes()), text(&file("list/to-oci.manifest.json")));

    let docker = index("list/to-v2s2.manifest.json");
    let encoded = named_by(oci.to_docker(None).unwrap().manifest, &docker).encode();
    assert_eq!(text(encoded.bytes()), text(&file("list/to-v2s2.manifest.json")));
}
