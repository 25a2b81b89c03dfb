//! Docker's first format in the second one, and in OCI's.

use std::collections::BTreeMap;

use bytes::Bytes;
use cask_json::{Document, Fields, Kind, Writer, compact, folds_equal, parse};

use super::{Conversion, ConversionError, ConversionErrorKind as ErrorKind, v1};
use crate::error::ManifestError;
use crate::image_config::RULES;
use crate::{
    Algorithm, Descriptor, Digest, Hasher, ImageFormat, ImageManifest, LayerCompression, MediaType,
    Schema1,
};

/// What a schema 1 manifest does not say about a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema1Blob {
    /// How many bytes the layer has, as it is stored.
    pub size: u64,
    /// The digest of the layer's uncompressed bytes.
    pub diff_id: Digest,
}

impl Schema1 {
    /// The image in Docker's second format, with a config made of the history.
    ///
    /// `blobs` tells size and DiffID of those [`layers`](Self::layers) that are not empty, the
    /// base first; the empty ones are not in the new manifest. All layers are said to be gzipped:
    /// so they are in this format. Nothing is lost but the name, the tag and the signatures.
    ///
    /// Source: `containers/image`, `convertToManifestSchema2` and `ToSchema2Config`.
    ///
    /// # Errors
    /// - `LayerCount`: not as many blobs as layers that are not empty.
    /// - `InvalidConfig`: the newest entry of the history is not a config.
    pub fn to_docker(&self, blobs: &[Schema1Blob]) -> Result<Conversion, ConversionError> {
        let digests: Vec<&Digest> =
            self.layers.iter().filter(|layer| !layer.is_empty).map(|layer| &layer.digest).collect();
        if digests.len() != blobs.len() {
            let detail =
                format!("{} blobs for {} layers that are not empty", blobs.len(), digests.len());
            return Err(ConversionError::new(ErrorKind::LayerCount, "fsLayers", detail));
        }
        let config = self.config(blobs).map_err(ConversionError::invalid_config)?;
        let config = Bytes::from(config);
        let digest = Hasher::digest(Algorithm::Sha256, &config);
        let descriptor = Descriptor::new(MediaType::DockerConfig, digest, config.len() as u64);
        let layer_type = MediaType::DockerLayer(LayerCompression::Gzip);
        let layers = digests
            .into_iter()
            .zip(blobs)
            .map(|(digest, blob)| Descriptor::new(layer_type.clone(), digest.clone(), blob.size))
            .collect();
        let manifest = ImageManifest::new(ImageFormat::Docker, descriptor, layers);
        Ok(Conversion { manifest, config: Some(config), losses: Vec::new() })
    }

    /// The image in OCI's format: through Docker's second one, as in the Go tools.
    ///
    /// # Errors
    /// Those of [`to_docker`](Self::to_docker).
    pub fn to_oci(&self, blobs: &[Schema1Blob]) -> Result<Conversion, ConversionError> {
        let docker = self.to_docker(blobs)?;
        docker.manifest.to_oci(docker.config.as_deref().unwrap_or_default())
    }

    /// Builds the config: the newest entry of the history without what only schema 1 needs, with
    /// the DiffIDs and the whole history.
    fn config(&self, blobs: &[Schema1Blob]) -> Result<Vec<u8>, ManifestError> {
        let newest = self.v1_compatibility.as_bytes();
        let document = parse(newest, RULES)?;
        let old = is_before_1_8_3(&document)?;
        if !old {
            return Ok(self.config_of(&document, blobs));
        }
        // Images of Docker before 1.8.3 lack fields that later ones always have.
        let reencoded = v1::reencode(&document)?;
        Ok(self.config_of(&parse(&reencoded, RULES)?, blobs))
    }

    fn config_of(&self, document: &Document<'_>, blobs: &[Schema1Blob]) -> Vec<u8> {
        const DROPPED: [&str; 6] = ["id", "parent", "parent_id", "layer_id", "throwaway", "Size"];
        let mut fields = BTreeMap::new();
        if let Kind::Object(entries) = document.root().kind() {
            for entry in entries {
                // In another case, the new fields would occur twice to some readers.
                let replaced = ["rootfs", "history"].iter().any(|n| folds_equal(n, entry.key()));
                if !replaced && !DROPPED.contains(&entry.key()) {
                    fields.insert(entry.key().to_owned(), compact(entry.value().text()));
                }
            }
        }
        fields.insert("rootfs".into(), rootfs(blobs));
        fields.insert("history".into(), self.history());
        let mut writer = Writer::default();
        writer.object(|w| fields.iter().for_each(|(key, value)| w.key(key).copy(value)));
        writer.finish()
    }

    fn history(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.array(|w| {
            for layer in &self.layers {
                w.object(|w| {
                    w.key("created").string(&layer.created.to_string());
                    w.text_unless_empty("author", &layer.author);
                    w.text_unless_empty("created_by", &layer.command.join(" "));
                    w.text_unless_empty("comment", &layer.comment);
                    if layer.is_empty {
                        w.key("empty_layer").boolean(true);
                    }
                });
            }
        });
        writer.finish()
    }
}

fn rootfs(blobs: &[Schema1Blob]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.object(|w| {
        w.key("type").string("layers");
        if !blobs.is_empty() {
            let ids = blobs.iter().map(|blob| blob.diff_id.as_str());
            w.key("diff_ids").array(|w| ids.for_each(|id| w.string(id)));
        }
    });
    writer.finish()
}

/// Whether the image says that it was made by Docker before 1.8.3.
///
/// Source: `moby`, `versions.LessThan`: parts that are not numbers count as zero.
fn is_before_1_8_3(document: &Document<'_>) -> Result<bool, ManifestError> {
    let version = Fields::of_any_case(document.root())?.text("docker_version")?;
    if version.is_empty() {
        return Ok(false);
    }
    let mut parts: Vec<i64> =
        version.split('.').map(|part| part.parse().unwrap_or_default()).collect();
    parts.resize(parts.len().max(3), 0);
    Ok(parts < vec![1, 8, 3])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_numbers() {
        for (version, expected) in [
            ("", false),
            ("1.8.2", true),
            ("1.8.3", false),
            ("1.8.3.1", false),
            ("1.10.0", false),
            ("1.7", true),
            ("1.8", true),
            ("2", false),
            ("0.9.9-dev", true),
            ("1.8.3-dev", true),
            ("dev", true),
        ] {
            let json = format!("{{\"docker_version\":\"{version}\"}}");
            let document = parse(json.as_bytes(), RULES).unwrap();
            assert_eq!(is_before_1_8_3(&document).unwrap(), expected, "{version}");
        }
    }
}
