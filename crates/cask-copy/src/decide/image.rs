//! Images and artifacts.

use bytes::Bytes;
use cask_image::{
    ConversionError, ConversionErrorKind, Descriptor, Digest, ImageConfig, ImageFormat,
    ImageManifest, LayerChange, LayerCompression, MAX_CONFIG_BYTES,
};
use cask_layer::Compression;
use cask_transport::{BlobKind, Error, ErrorKind, LayerForm, Result};

use super::Decider;
use super::blobs::copy_step;
use super::fixed::Refusal;
use super::format::{self, FormatQuestion};
use super::layer::{self, LayerDecision, LayerQuestion};
use crate::LayersWanted;
use crate::graph::Node;
use crate::held::as_held;
use crate::plan::{BlobAction, BlobStep, ImageWork, LayerWork, ManifestWork};
use crate::transform::{Target, layer_compression};

impl Decider<'_> {
    /// An image, with its config from the source.
    pub(super) async fn image(
        &mut self,
        node: &Node,
        image: &ImageManifest,
    ) -> Result<(ManifestWork, Vec<String>)> {
        if image.is_artifact() || (image.artifact_type.is_some() && !has_layers(image)) {
            return self.artifact(node, image);
        }
        let config = self.read_config(&image.config).await?;
        let diff_ids = match diff_ids(&image.config.digest, &config) {
            // An artifact that borrowed the config's type for something else.
            Err(_) if !has_layers(image) => return self.artifact(node, image),
            found => found?,
        };
        if diff_ids.len() != image.layers.len() {
            // An artifact that borrowed the config's type, as older signatures do, or the types of layers too: an empty
            // config is no image's.
            if config.trim_ascii() == b"{}" || !has_layers(image) {
                return self.artifact(node, image);
            }
            let (of_config, of_manifest) = (diff_ids.len(), image.layers.len());
            let detail = format!("it lists {of_config} layers, and the manifest {of_manifest}");
            return Err(Error::new(ErrorKind::Corrupt, "reading config", &image.config.digest)
                .with_detail(detail));
        }
        let held = match node.added {
            None => self.held.of(&node.descriptor.digest, image),
            // It becomes another one, for which its layers have to be read.
            Some(_) => self.held.given(&node.descriptor.digest),
        };
        let (image, changes) = match held {
            Some(held) => {
                let plain = as_held(image, &held)
                    .map_err(|error| conversion_error(&node.descriptor.digest, error))?;
                let is_same = plain.layers == image.layers;
                let reason = (!is_same).then(|| "the source keeps layers unpacked".to_owned());
                (plain, reason.into_iter().collect())
            }
            None => (image.clone(), Vec::new()),
        };
        self.image_with_config(node, &image, (config, diff_ids), changes)
    }

    /// Reads a config, once.
    async fn read_config(&mut self, config: &Descriptor) -> Result<Bytes> {
        if let Some(bytes) = self.configs.get(&config.digest) {
            return Ok(bytes.clone());
        }
        let bytes = self.source.blob_bytes(config, MAX_CONFIG_BYTES).await?;
        self.config_room.take(&config.digest, bytes.len() as u64)?;
        self.configs.insert(config.digest.clone(), bytes.clone());
        Ok(bytes)
    }

    /// An image: format, layers, config.
    pub(super) fn image_with_config(
        &mut self,
        node: &Node,
        image: &ImageManifest,
        (config, diff_ids): (Bytes, Vec<Digest>),
        mut changes: Vec<String>,
    ) -> Result<(ManifestWork, Vec<String>)> {
        let (format, reason) = format::decide(&FormatQuestion {
            source: image.format,
            asked: self.options.format,
            wants_zstd: self.wants_zstd(node) || self.makes_zstd(image, &diff_ids),
            held: self.capabilities.manifest_types,
            destination: self.destination,
            type_of: ImageFormat::manifest_type,
        })
        .map_err(|refusal| self.unsupported(node, refusal))?;
        changes.extend(reason);
        let decisions = self.decide_layers(node, image, format, &diff_ids)?;
        for LayerDecision { target, reason, .. } in &decisions {
            if target.is_some() && !changes.contains(reason) {
                changes.push(reason.clone());
            }
        }
        let targets: Vec<_> = decisions.iter().map(|decision| decision.target).collect();
        let (manifest, config) = self.convert(node, image, config, format, &targets)?;
        let is_rewritten = !changes.is_empty();
        if is_rewritten && format == image.format {
            self.warn_of_unknown_fields(&format.manifest_type(), &image.unknown_fields);
        }
        let mut layers = Vec::with_capacity(image.layers.len());
        for (place, (decision, diff_id)) in decisions.into_iter().zip(diff_ids).enumerate() {
            let LayerDecision { action, target, reason } = decision;
            let media_type = manifest.layers[place].media_type.clone();
            let source = Descriptor { media_type, ..image.layers[place].clone() };
            let kind = BlobKind::Layer { diff_id: Some(diff_id) };
            let wanted = self.taken_instead(node, target);
            let step = BlobStep { action, target, reason, wanted, ..copy_step(source, kind) };
            let blob = self.add_blob(step)?;
            layers.push(LayerWork { blob, is_changed: target.is_some() });
        }
        let config = self.add_config(image, &manifest, config)?;
        let work = ImageWork { manifest, layers, config, is_rewritten };
        Ok((ManifestWork::Image(Box::new(work)), changes))
    }

    /// What a layer that the destination has may be compressed by to be taken instead. Of an index whose images come in
    /// several compressions, each stays what it is.
    fn taken_instead(&self, node: &Node, target: Option<Target>) -> LayersWanted {
        let wanted = self.layers(node).wanted;
        if self.options.added_compressions.is_empty() || wanted != LayersWanted::AsDestinationWants
        {
            return wanted;
        }
        match target {
            Some(Target::Compressed { compression, .. }) => LayersWanted::Compress(compression),
            _ => LayersWanted::Keep,
        }
    }

    /// Whether a plain layer becomes zstd because that is usual, and nothing else was asked for.
    fn makes_zstd(&self, image: &ImageManifest, diff_ids: &[Digest]) -> bool {
        let options = &self.options.layers;
        let is_plain = |(layer, diff_id): (&Descriptor, &Digest)| {
            layer.digest == *diff_id
                || layer.media_type.layer_compression() == Some(LayerCompression::None)
        };
        options.usual.compression == Compression::Zstd
            && options.wanted == LayersWanted::AsDestinationWants
            && self.capabilities.layer_form == LayerForm::Compressed
            && self.options.format != Some(ImageFormat::Docker)
            && self.fixed.is_none()
            && image.layers.iter().zip(diff_ids).any(is_plain)
    }

    fn decide_layers(
        &self,
        node: &Node,
        image: &ImageManifest,
        format: ImageFormat,
        diff_ids: &[Digest],
    ) -> Result<Vec<LayerDecision>> {
        let options = &self.layers(node);
        let decide = |(layer, diff_id)| {
            layer::decide(&LayerQuestion {
                layer,
                diff_id,
                format,
                capabilities: self.capabilities,
                destination: self.destination,
                options,
                is_fixed: self.fixed.is_some(),
            })
            .map_err(|refusal| self.unsupported(node, refusal))
        };
        image.layers.iter().zip(diff_ids).map(decide).collect()
    }

    /// The manifest and config in a format, with layers typed as they will be.
    fn convert(
        &mut self,
        node: &Node,
        image: &ImageManifest,
        config: Bytes,
        format: ImageFormat,
        targets: &[Option<Target>],
    ) -> Result<(ImageManifest, Bytes)> {
        let fail = |error| conversion_error(&node.descriptor.digest, error);
        if format == image.format {
            let unchanged = targets.iter().all(Option::is_none);
            let manifest =
                if unchanged { image.clone() } else { retyped(image, targets).map_err(fail)? };
            return Ok((manifest, config));
        }
        // Docker's format has no types for some layers, so they take their new types before.
        let (manifest, conversion) = match format {
            ImageFormat::Docker => {
                let conversion =
                    retyped(image, targets).and_then(|image| image.to_docker()).map_err(fail)?;
                (conversion.manifest.clone(), conversion)
            }
            ImageFormat::Oci => {
                let conversion = image.to_oci(&config).map_err(fail)?;
                (retyped(&conversion.manifest, targets).map_err(fail)?, conversion)
            }
        };
        for loss in &conversion.losses {
            self.warn(format!("{} has no place for {loss}", format.manifest_type()));
        }
        if let Some(made) = &conversion.config {
            self.config_room.take(&manifest.config.digest, made.len() as u64)?;
        }
        Ok((manifest, conversion.config.unwrap_or(config)))
    }

    /// Adds the config: the source's, or the one that converting made.
    fn add_config(
        &mut self,
        image: &ImageManifest,
        converted: &ImageManifest,
        config: Bytes,
    ) -> Result<usize> {
        let mut step = copy_step(converted.config.clone(), BlobKind::Config);
        if converted.config.digest != image.config.digest {
            step.action = BlobAction::Make;
            step.reason = "the config is written in another format".into();
        }
        // It was read already, so it need not be read again.
        step.made = Some(config);
        self.add_blob(step)
    }

    /// Something that is copied as it is, or not at all.
    fn artifact(
        &mut self,
        node: &Node,
        artifact: &ImageManifest,
    ) -> Result<(ManifestWork, Vec<String>)> {
        if !self.capabilities.artifacts || !self.holds(node.raw.media_type()) {
            let kind = artifact.artifact_type.as_ref().unwrap_or(&artifact.config.media_type);
            let detail =
                format!("it is an artifact ({kind}), which {} cannot hold", self.destination);
            return Err(self.unsupported(node, Refusal::new(detail)));
        }
        let parts = artifact.layers.iter().chain([&artifact.config]);
        let blobs =
            parts.map(|blob| self.add_copy(blob, BlobKind::Other)).collect::<Result<_>>()?;
        Ok((ManifestWork::Keep { blobs }, Vec::new()))
    }
}

/// Whether any part of an image is, by its type, a layer of a root filesystem.
pub(crate) fn has_layers(image: &ImageManifest) -> bool {
    image.layers.iter().any(|layer| {
        layer.media_type.layer_compression().is_some() || layer.media_type.is_encrypted()
    })
}

/// The digests of the plain layers.
pub(super) fn diff_ids(digest: &Digest, config: &Bytes) -> Result<Vec<Digest>> {
    let parsed = ImageConfig::parse(config.clone()).map_err(|error| {
        Error::new(ErrorKind::Corrupt, "reading config", digest).with_source(error)
    })?;
    Ok(parsed.diff_ids)
}

/// The manifest with what is said about its layers once their bytes are made; digests and sizes
/// come later.
fn retyped(
    image: &ImageManifest,
    targets: &[Option<Target>],
) -> Result<ImageManifest, ConversionError> {
    let change = |(layer, target): (&Descriptor, &Option<Target>)| {
        let compression = match target {
            None => return LayerChange::keep(layer),
            Some(Target::Plain) => LayerCompression::None,
            Some(Target::Compressed { compression, .. }) => layer_compression(*compression),
        };
        LayerChange::recompressed(layer, layer.digest.clone(), layer.size, compression)
    };
    image.with_layers(&image.layers.iter().zip(targets).map(change).collect::<Vec<_>>())
}

/// Says what would help, where something would.
pub(crate) fn conversion_error(manifest: &Digest, error: ConversionError) -> Error {
    let kind = error.kind();
    let failed = Error::new(ErrorKind::Unsupported, "converting manifest", manifest);
    let failed = match kind {
        ConversionErrorKind::UnsupportedCompression => {
            failed.with_hint("--dest-compress-format gzip recompresses the layers")
        }
        ConversionErrorKind::InvalidConfig => {
            Error::new(ErrorKind::Corrupt, "converting manifest", manifest)
        }
        _ => failed,
    };
    failed.with_source(error)
}
