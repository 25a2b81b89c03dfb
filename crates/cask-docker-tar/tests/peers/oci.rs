//! An OCI layout in a directory, made without the crates under test.

use std::path::Path;

use crate::fixtures::{TestImage, digest, gzip};

/// Writes an image with compressed layers as an OCI layout, and gives its manifest.
pub(crate) fn layout_of(image: &TestImage, directory: &Path, name: &str) -> String {
    let blobs = directory.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let put = |bytes: &[u8], media_type: &str| {
        let digest = digest(bytes);
        std::fs::write(blobs.join(digest.hex()), bytes).unwrap();
        let size = bytes.len();
        format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}"#)
    };
    let config = put(&image.config, "application/vnd.oci.image.config.v1+json");
    let layer_type = "application/vnd.oci.image.layer.v1.tar+gzip";
    let layers: Vec<String> =
        image.layers.iter().map(|layer| format!("{}}}", put(&gzip(layer), layer_type))).collect();
    let manifest_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{manifest_type}","config":{config}}},"layers":[{}]}}"#,
        layers.join(",")
    );
    let entry = put(manifest.as_bytes(), manifest_type);
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{entry},"annotations":{{"org.opencontainers.image.ref.name":"{name}"}}}}]}}"#
    );
    std::fs::write(directory.join("index.json"), index).unwrap();
    std::fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    manifest
}
