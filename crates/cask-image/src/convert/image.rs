//! Image manifests between OCI and Docker.

use std::collections::BTreeMap;

use bytes::Bytes;
use cask_json::quoted;

use super::{Conversion, ConversionError, ConversionErrorKind as ErrorKind, Loss, LossKind};
use crate::image_config;
use crate::{Descriptor, Hasher, ImageFormat, ImageManifest, LayerCompression, MediaType};

impl ImageManifest {
    /// The manifest in Docker's format.
    ///
    /// The config's bytes stay; only its media type changes. What Docker's format has no place
    /// for is reported in the losses. A manifest in Docker's format comes back as it is.
    ///
    /// Source: `containers/image`, `convertToManifestSchema2`.
    ///
    /// # Errors
    /// - `Artifact`: the manifest is not an image's.
    /// - `MixedFormats`: the config is Docker's already.
    /// - `UnsupportedCompression`, `UnsupportedEncryption`, `UnknownLayerType`: a layer has no
    ///   counterpart; see [`with_layers`](Self::with_layers).
    pub fn to_docker(&self) -> Result<Conversion, ConversionError> {
        if self.format == ImageFormat::Docker {
            return Ok(Conversion { manifest: self.clone(), config: None, losses: Vec::new() });
        }
        self.require_image()?;
        let mut losses = self.losses_at_top();
        let config = Descriptor {
            media_type: MediaType::DockerConfig,
            ..docker_descriptor(&self.config, "config", &mut losses)
        };
        let mut layers = Vec::with_capacity(self.layers.len());
        for (index, layer) in self.layers.iter().enumerate() {
            let subject = format!("layers[{index}]");
            let media_type = docker_layer_type(&layer.media_type)
                .map_err(|(kind, detail)| ConversionError::new(kind, subject.as_str(), detail))?;
            layers
                .push(Descriptor { media_type, ..docker_descriptor(layer, &subject, &mut losses) });
        }
        let manifest = Self::new(ImageFormat::Docker, config, layers);
        Ok(Conversion { manifest, config: None, losses })
    }

    /// The manifest in OCI's format, given the bytes of its config.
    ///
    /// The config becomes another one: it is encoded anew with the fields that OCI's
    /// specification has, byte for byte as the Go tools do it. The fields that go are reported in
    /// the losses. A manifest in OCI's format comes back as it is.
    ///
    /// Source: `containers/image`, `convertToManifestOCI1`.
    ///
    /// # Errors
    /// - `WrongConfig`: the config does not have the digest that the manifest says.
    /// - `InvalidConfig`: the config does not parse.
    /// - `UnknownLayerType`: a layer is not of one of Docker's types.
    pub fn to_oci(&self, config: &[u8]) -> Result<Conversion, ConversionError> {
        if self.format == ImageFormat::Oci {
            return Ok(Conversion { manifest: self.clone(), config: None, losses: Vec::new() });
        }
        let actual = Hasher::digest(self.config.digest.algorithm(), config);
        let Descriptor { digest, size, .. } = &self.config;
        if actual != *digest || config.len() as u64 != *size {
            let length = config.len();
            let detail =
                format!("the config is {length} bytes of {actual}, not {size} of {digest}");
            return Err(ConversionError::new(ErrorKind::WrongConfig, "config", detail));
        }
        let mut losses = self.losses_at_top();
        lost_in_descriptor(&self.config, "config", &mut losses);
        let mut layers = Vec::with_capacity(self.layers.len());
        for (index, layer) in self.layers.iter().enumerate() {
            let subject = format!("layers[{index}]");
            let Some(media_type) = oci_layer_type(&layer.media_type) else {
                let detail = unknown_type(&layer.media_type);
                return Err(ConversionError::new(ErrorKind::UnknownLayerType, subject, detail));
            };
            layers
                .push(Descriptor { media_type, ..docker_descriptor(layer, &subject, &mut losses) });
        }
        let (config, lost) =
            image_config::to_oci(config).map_err(ConversionError::invalid_config)?;
        losses.extend(lost.into_iter().map(|path| Loss { path, kind: LossKind::ConfigField }));
        let config = Bytes::from(config);
        let digest = Hasher::digest(cask_reference::Algorithm::Sha256, &config);
        let descriptor = Descriptor::new(MediaType::OciConfig, digest, config.len() as u64);
        let manifest = Self::new(ImageFormat::Oci, descriptor, layers);
        Ok(Conversion { manifest, config: Some(config), losses })
    }

    fn require_image(&self) -> Result<(), ConversionError> {
        let shown = self.artifact_type.as_ref().unwrap_or(&self.config.media_type).as_str();
        let (kind, what) = if self.is_artifact() {
            (ErrorKind::Artifact, "unsupported image-specific operation on artifact with type")
        } else if self.config.media_type == MediaType::DockerConfig {
            (ErrorKind::MixedFormats, "invalid mixed OCI image with Docker v2s2 config")
        } else {
            return Ok(());
        };
        Err(ConversionError::new(kind, "", format!("{what} {}", quoted(shown))))
    }

    fn losses_at_top(&self) -> Vec<Loss> {
        let Self { annotations, artifact_type, subject, unknown_fields, .. } = self;
        lost_at_top(annotations, artifact_type.as_ref(), subject.as_ref(), unknown_fields)
    }
}

/// What a manifest or an index of the other format cannot say, besides what descriptors say.
pub(super) fn lost_at_top(
    annotations: &BTreeMap<String, String>,
    artifact_type: Option<&MediaType>,
    subject: Option<&Descriptor>,
    unknown_fields: &[String],
) -> Vec<Loss> {
    let parts = [
        (!annotations.is_empty(), "annotations", LossKind::Annotations),
        (artifact_type.is_some(), "artifactType", LossKind::ArtifactType),
        (subject.is_some(), "subject", LossKind::Subject),
    ];
    let lost = parts.into_iter().filter(|(lost, ..)| *lost);
    let known = lost.map(|(_, path, kind)| Loss { path: path.into(), kind });
    let unknown = unknown_fields.iter();
    known
        .chain(unknown.map(|path| Loss { path: path.clone(), kind: LossKind::UnknownField }))
        .collect()
}

/// The descriptor with what Docker's descriptors have, which is also all that is kept on the way
/// to OCI.
pub(super) fn docker_descriptor(
    from: &Descriptor,
    path: &str,
    losses: &mut Vec<Loss>,
) -> Descriptor {
    lost_in_descriptor(from, path, losses);
    if from.platform.is_some() {
        losses.push(Loss { path: format!("{path}.platform"), kind: LossKind::Platform });
    }
    let mut descriptor = Descriptor::new(from.media_type.clone(), from.digest.clone(), from.size);
    descriptor.urls.clone_from(&from.urls);
    descriptor
}

pub(super) fn lost_in_descriptor(descriptor: &Descriptor, path: &str, losses: &mut Vec<Loss>) {
    let parts = [
        (!descriptor.annotations.is_empty(), "annotations", LossKind::Annotations),
        (descriptor.data.is_some(), "data", LossKind::EmbeddedData),
        (descriptor.artifact_type.is_some(), "artifactType", LossKind::ArtifactType),
    ];
    let lost = parts.into_iter().filter(|(lost, ..)| *lost);
    losses.extend(lost.map(|(_, field, kind)| Loss { path: format!("{path}.{field}"), kind }));
}

fn unknown_type(media_type: &MediaType) -> String {
    format!("unknown media type during manifest conversion: {}", quoted(media_type.as_str()))
}

fn docker_layer_type(media_type: &MediaType) -> Result<MediaType, (ErrorKind, String)> {
    let shown = quoted(media_type.as_str());
    match media_type {
        MediaType::OciLayer(LayerCompression::Zstd)
        | MediaType::OciNondistributableLayer(LayerCompression::Zstd) => {
            let detail = format!("zstd compression is not supported for docker images ({shown})");
            Err((ErrorKind::UnsupportedCompression, detail))
        }
        MediaType::OciLayer(compression) => Ok(MediaType::DockerLayer(*compression)),
        MediaType::OciNondistributableLayer(compression) => {
            Ok(MediaType::DockerForeignLayer(*compression))
        }
        other if other.is_encrypted() => {
            let detail = format!("encrypted layers ({shown}) are not supported in docker images");
            Err((ErrorKind::UnsupportedEncryption, detail))
        }
        other => Err((ErrorKind::UnknownLayerType, unknown_type(other))),
    }
}

fn oci_layer_type(media_type: &MediaType) -> Option<MediaType> {
    match media_type {
        MediaType::DockerLayer(compression) => Some(MediaType::OciLayer(*compression)),
        MediaType::DockerForeignLayer(compression) => {
            Some(MediaType::OciNondistributableLayer(*compression))
        }
        _ => None,
    }
}
