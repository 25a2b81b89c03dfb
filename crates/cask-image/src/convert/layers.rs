//! A manifest with other layers.

use std::collections::BTreeMap;

use cask_json::quoted;
use cask_reference::Digest;

use super::{ConversionError, ConversionErrorKind as ErrorKind};
use crate::{Descriptor, ImageFormat, ImageManifest, LayerCompression, MediaType};

/// What became of one layer: new bytes, or the old ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerChange {
    /// The digest of the layer's bytes now.
    pub digest: Digest,
    /// How many bytes the layer has now.
    pub size: u64,
    /// How the bytes are compressed now.
    pub compression: CompressionChange,
    /// Whether the bytes were encrypted or decrypted.
    pub encryption: EncryptionChange,
    /// Where the layer may be fetched from now. All it had before are forgotten.
    pub urls: Vec<String>,
    /// What is said about the layer now. All that was said before is forgotten.
    pub annotations: BTreeMap<String, String>,
}

/// What a [`LayerChange`] did to the compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CompressionChange {
    /// Nothing: the media type stays.
    Keep,
    /// The layer is compressed like this now, whatever its media type said before.
    To(LayerCompression),
}

/// What a [`LayerChange`] did to the encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EncryptionChange {
    /// Nothing.
    Keep,
    /// The layer was encrypted, after it was compressed.
    Encrypt,
    /// The layer was decrypted, before it was compressed anew.
    Decrypt,
}

/// The annotations that describe the compressed bytes of a layer and are wrong for any others.
///
/// Source: `containers/storage`, `pkg/chunked`; `containerd/stargz-snapshotter`, `estargz`.
const OF_THE_BYTES: [&str; 8] = [
    "io.github.containers.zstd-chunked.manifest-checksum",
    "io.github.containers.zstd-chunked.manifest-position",
    "io.github.containers.zstd-chunked.tarsplit-position",
    "io.github.containers.zstd-chunked.tarsplit-checksum",
    // What they were called when the format was new.
    "io.containers.zstd-chunked.manifest-checksum",
    "io.containers.zstd-chunked.manifest-position",
    "containerd.io/snapshot/stargz/toc.digest",
    "io.containers.estargz.uncompressed-size",
];

impl LayerChange {
    /// A layer that stays what it is.
    pub fn keep(layer: &Descriptor) -> Self {
        Self {
            digest: layer.digest.clone(),
            size: layer.size,
            compression: CompressionChange::Keep,
            encryption: EncryptionChange::Keep,
            urls: layer.urls.clone(),
            annotations: layer.annotations.clone(),
        }
    }

    /// A layer that was compressed anew, or decompressed.
    ///
    /// Its annotations stay, except those that describe the old bytes (the tables of contents of
    /// `zstd:chunked` and eStargz); its URLs lead to the old bytes and go.
    pub fn recompressed(
        layer: &Descriptor,
        digest: Digest,
        size: u64,
        compression: LayerCompression,
    ) -> Self {
        let mut annotations = layer.annotations.clone();
        annotations.retain(|key, _| !OF_THE_BYTES.contains(&key.as_str()));
        Self {
            digest,
            size,
            compression: CompressionChange::To(compression),
            encryption: EncryptionChange::Keep,
            urls: Vec::new(),
            annotations,
        }
    }
}

impl ImageFormat {
    /// The media type of a layer in another compression.
    ///
    /// `None` for types that are not this format's layers, and for compressions that the format
    /// has no type for: Docker's has none for Zstandard.
    pub fn layer_type(
        self,
        media_type: &MediaType,
        compression: LayerCompression,
    ) -> Option<MediaType> {
        let docker_has_it = compression != LayerCompression::Zstd;
        match (self, media_type) {
            (Self::Oci, MediaType::OciLayer(_)) => Some(MediaType::OciLayer(compression)),
            (Self::Oci, MediaType::OciNondistributableLayer(_)) => {
                Some(MediaType::OciNondistributableLayer(compression))
            }
            (Self::Docker, MediaType::DockerLayer(_)) if docker_has_it => {
                Some(MediaType::DockerLayer(compression))
            }
            (Self::Docker, MediaType::DockerForeignLayer(_)) if docker_has_it => {
                Some(MediaType::DockerForeignLayer(compression))
            }
            _ => None,
        }
    }

    /// Whether layers of a type can be compressed anew in this format.
    pub fn can_change_compression(self, media_type: &MediaType) -> bool {
        self.layer_type(media_type, LayerCompression::Gzip).is_some()
    }
}

impl ImageManifest {
    /// The manifest with changed layers: the same number of them, in the same order.
    ///
    /// All else stays. For a conversion as well: towards Docker change the layers first, towards
    /// OCI convert first, because Docker's format has no types for Zstandard and encryption.
    ///
    /// Source: `containers/image`, `UpdateLayerInfos`.
    ///
    /// # Errors
    /// - `LayerCount`: not as many changes as layers.
    /// - `UnsupportedCompression`: the format has no type for the compression.
    /// - `UnknownLayerType`: a change of compression, and the layer is not of a known type.
    /// - `UnsupportedEncryption`: encryption in Docker's format, or of an unknown type, or of an
    ///   encrypted layer; decryption of one that is not.
    pub fn with_layers(&self, changes: &[LayerChange]) -> Result<Self, ConversionError> {
        if changes.len() != self.layers.len() {
            let (old, new) = (self.layers.len(), changes.len());
            let detail = format!("layer count changed from {old} to {new}");
            return Err(ConversionError::new(ErrorKind::LayerCount, "layers", detail));
        }
        let changed = |(index, (layer, change)): (usize, (&Descriptor, &LayerChange))| {
            let media_type = changed_type(self.format, &layer.media_type, change).map_err(
                |(kind, detail)| ConversionError::new(kind, format!("layers[{index}]"), detail),
            )?;
            let mut layer = Descriptor::new(media_type, change.digest.clone(), change.size);
            layer.urls.clone_from(&change.urls);
            layer.annotations.clone_from(&change.annotations);
            Ok(layer)
        };
        let layers =
            self.layers.iter().zip(changes).enumerate().map(changed).collect::<Result<_, _>>()?;
        Ok(Self { layers, ..self.clone() })
    }
}

fn changed_type(
    format: ImageFormat,
    media_type: &MediaType,
    change: &LayerChange,
) -> Result<MediaType, (ErrorKind, String)> {
    let no_encryption = |detail: String| (ErrorKind::UnsupportedEncryption, detail);
    if format == ImageFormat::Docker && change.encryption != EncryptionChange::Keep {
        return Err(no_encryption(
            "encryption change is not supported in schema2 manifests".into(),
        ));
    }
    let shown = quoted(media_type.as_str());
    let mut media_type = media_type.clone();
    if change.encryption == EncryptionChange::Decrypt {
        let not_encrypted =
            || no_encryption(format!("{shown} is not the type of an encrypted layer"));
        media_type = media_type.decrypted().ok_or_else(not_encrypted)?;
    }
    if let CompressionChange::To(compression) = change.compression {
        media_type = match format.layer_type(&media_type, compression) {
            Some(media_type) => media_type,
            None if format.can_change_compression(&media_type) => {
                let detail = format!("zstd compression is not supported for type {shown}");
                return Err((ErrorKind::UnsupportedCompression, detail));
            }
            None => {
                let detail = format!("unsupported MIME type for compression: {shown}");
                return Err((ErrorKind::UnknownLayerType, detail));
            }
        };
    }
    if change.encryption == EncryptionChange::Encrypt {
        let cannot = || no_encryption(format!("layers of type {shown} cannot be encrypted"));
        media_type = media_type.encrypted().ok_or_else(cannot)?;
    }
    Ok(media_type)
}
