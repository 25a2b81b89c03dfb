//! Deciding what happens to each manifest and blob.

use std::collections::HashMap;

use bytes::Bytes;
use cask_image::{
    Descriptor, Digest, ImageConfig, ImageFormat, ImageManifest, LayerChange, LayerCompression,
    MAX_CONFIG_BYTES, MediaType, RawManifest, Schema1, Schema1Blob, Schema1Layer,
};
use cask_layer::Compression;
use cask_transport::{
    BlobKind, Body as _, Capabilities, Error, ErrorKind, Have, LayerForm, ManifestRole, Result,
    VerifiedSource,
};

use crate::graph::{Content, Graph, Node, Taken};
use crate::plan::{BlobAction, BlobStep, ManifestStep, ManifestWork};
use crate::rewrite::layer_compression;
use crate::transform::{LayerBody, Target};
use crate::{CopyOptions, LayersWanted, PartialIndex};

/// Why no manifest may change. The words are those of containers/image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fixed {
    /// `--preserve-digests`.
    Asked,
    /// There are signatures.
    Signed,
    /// The destination's reference has a digest.
    Named,
}

impl Fixed {
    fn reason(self) -> &'static str {
        match self {
            Self::Asked => "Instructed to preserve digests",
            Self::Signed => "Would invalidate signatures",
            Self::Named => "Destination specifies a digest",
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::Asked => {
                "leave out --preserve-digests, or choose a destination that keeps manifests"
            }
            Self::Signed => "--remove-signatures copies the image without them",
            Self::Named => "name the destination by a tag",
        }
    }
}

/// Decides step by step; the lists grow in the order in which things are written.
pub(crate) struct Decider<'a> {
    pub(crate) source: &'a VerifiedSource,
    pub(crate) graph: &'a Graph,
    pub(crate) capabilities: &'a Capabilities,
    pub(crate) destination: &'a str,
    pub(crate) options: &'a CopyOptions,
    pub(crate) fixed: Option<Fixed>,
    pub(crate) manifests: Vec<ManifestStep>,
    pub(crate) blobs: Vec<BlobStep>,
    pub(crate) warnings: Vec<String>,
    /// Which blob of the source, treated how, stands where in `blobs`.
    pub(crate) known: HashMap<(Digest, BlobAction), usize>,
}

impl std::hash::Hash for BlobAction {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
    }
}

impl Decider<'_> {
    /// Decides everything.
    pub(crate) async fn run(&mut self) -> Result<()> {
        let top = self.graph.top_position();
        for (place, node) in self.graph.nodes().iter().enumerate() {
            let role = match (place == top, node.is_referrer) {
                (true, _) => ManifestRole::Top,
                (false, true) => ManifestRole::Referrer,
                (false, false) => ManifestRole::Child,
            };
            let (work, changes) = match &node.content {
                Content::Image(image) => self.image(node, image).await?,
                Content::Schema1(schema1) => self.schema1(node, schema1).await?,
                Content::Index { entries, .. } => self.index(node, entries)?,
            };
            if !changes.is_empty() {
                self.check_changeable(node, &changes)?;
            }
            let source = node.descriptor.clone();
            self.manifests.push(ManifestStep { source, role, changes, work });
        }
        Ok(())
    }

    fn check_changeable(&self, node: &Node, changes: &[String]) -> Result<()> {
        let Some(fixed) = self.fixed else { return Ok(()) };
        Err(self
            .unsupported(
                node,
                format!(
                    "its manifest would have to change ({}), but that is not possible: {}",
                    changes.join("; "),
                    fixed.reason()
                ),
            )
            .with_hint(fixed.hint()))
    }

    fn unsupported(&self, node: &Node, detail: String) -> Error {
        Error::new(ErrorKind::Unsupported, "copying", &node.descriptor.digest).with_detail(detail)
    }

    /// An image, with its config from the source.
    async fn image(
        &mut self,
        node: &Node,
        image: &ImageManifest,
    ) -> Result<(ManifestWork, Vec<String>)> {
        if image.is_artifact() {
            return self.artifact(node, image);
        }
        let config = self.source.blob_bytes(&image.config, MAX_CONFIG_BYTES).await?;
        self.image_with_config(node, image, config, Vec::new())
    }

    /// An image: format, config, layers.
    fn image_with_config(
        &mut self,
        node: &Node,
        image: &ImageManifest,
        config: Bytes,
        mut changes: Vec<String>,
    ) -> Result<(ManifestWork, Vec<String>)> {
        let diff_ids = diff_ids(image, &config)?;
        let format = self.format(node, image, &mut changes)?;
        let mut decided = Vec::with_capacity(image.layers.len());
        for (layer, diff_id) in image.layers.iter().zip(&diff_ids) {
            decided.push(self.layer(node, layer, diff_id)?);
        }
        let targets: Vec<_> = decided.iter().map(|(_, target, _)| *target).collect();
        let (manifest, config) = self.convert(node, image, config, format, &targets)?;
        let mut blobs = Vec::with_capacity(image.layers.len());
        for (place, (action, target, reason)) in decided.into_iter().enumerate() {
            if target.is_some() && !changes.contains(&reason) {
                changes.push(reason.clone());
            }
            let media_type = manifest.layers[place].media_type.clone();
            let step = self.add_blob(BlobStep {
                action,
                reason,
                target,
                ..copy_step(
                    Descriptor { media_type, ..image.layers[place].clone() },
                    BlobKind::Layer { diff_id: Some(diff_ids[place].clone()) },
                )
            });
            blobs.push(target.is_some().then_some(step));
        }
        // After the layers, as the Go tools do: the order of an archive's members follows.
        self.config(image, &manifest, config);
        if changes.is_empty() {
            return Ok((ManifestWork::Keep, changes));
        }
        Ok((ManifestWork::Image { manifest: Box::new(manifest), blobs }, changes))
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
        let fail = |error| {
            Error::new(ErrorKind::Unsupported, "converting manifest", &node.descriptor.digest)
                .with_source(error)
        };
        let retype = |manifest: ImageManifest| {
            let changes: Vec<_> = manifest
                .layers
                .iter()
                .zip(targets)
                .map(|(layer, target)| planned_change(layer, *target))
                .collect();
            manifest.with_layers(&changes).map_err(fail)
        };
        if format == image.format {
            let unchanged = targets.iter().all(Option::is_none);
            let manifest = if unchanged { image.clone() } else { retype(image.clone())? };
            return Ok((manifest, config));
        }
        // Docker's format has no types for some layers, so they take their new types before.
        let (manifest, conversion) = match format {
            ImageFormat::Docker => {
                let conversion = retype(image.clone())?.to_docker().map_err(fail)?;
                (conversion.manifest.clone(), conversion)
            }
            ImageFormat::Oci => {
                let conversion = image.to_oci(&config).map_err(fail)?;
                (retype(conversion.manifest.clone())?, conversion)
            }
        };
        for loss in &conversion.losses {
            self.warnings.push(format!("{} has no place for {loss}", format.manifest_type()));
        }
        Ok((manifest, conversion.config.unwrap_or(config)))
    }

    fn artifact(
        &mut self,
        node: &Node,
        artifact: &ImageManifest,
    ) -> Result<(ManifestWork, Vec<String>)> {
        if !self.capabilities.artifacts || !self.holds(&node.raw) {
            let kind = artifact.artifact_type.as_ref().unwrap_or(&artifact.config.media_type);
            return Err(self.unsupported(
                node,
                format!("it is an artifact ({kind}), which {} cannot hold", self.destination),
            ));
        }
        for blob in std::iter::once(&artifact.config).chain(&artifact.layers) {
            self.add_copy(blob.clone(), BlobKind::Other);
        }
        Ok((ManifestWork::Keep, Vec::new()))
    }

    /// A schema 1 image: kept where the destination takes it, else converted, for which every
    /// layer has to be read.
    async fn schema1(
        &mut self,
        node: &Node,
        schema1: &Schema1,
    ) -> Result<(ManifestWork, Vec<String>)> {
        if self.holds(&node.raw) && self.options.format.is_none() {
            for layer in &schema1.layers {
                let blob = self.schema1_blob(layer).await?;
                self.add_copy(blob, BlobKind::Layer { diff_id: None });
            }
            return Ok((ManifestWork::Keep, Vec::new()));
        }
        let mut blobs = Vec::new();
        for layer in schema1.layers.iter().filter(|layer| !layer.is_empty) {
            let descriptor = self.schema1_blob(layer).await?;
            let size = descriptor.size;
            let body = LayerBody::plain(self.source.clone(), descriptor);
            blobs.push(Schema1Blob { size, diff_id: body.measure().await?.digest });
        }
        let conversion = schema1.to_docker(&blobs).map_err(|error| {
            Error::new(ErrorKind::Corrupt, "converting manifest", &node.descriptor.digest)
                .with_source(error)
        })?;
        let config = conversion.config.unwrap_or_default();
        let changes = vec![format!("{} cannot hold schema 1 manifests", self.destination)];
        // The config is made here: the source has none that it could be compared with.
        let manifest = conversion.manifest;
        self.image_with_config(node, &manifest, config, changes)
    }

    async fn schema1_blob(&self, layer: &Schema1Layer) -> Result<Descriptor> {
        let size = self.source.blob_size(&layer.digest).await?;
        let media_type = MediaType::DockerLayer(LayerCompression::Gzip);
        Ok(Descriptor::new(media_type, layer.digest.clone(), size))
    }

    /// An index: its type, and entries that changed or are left out.
    fn index(&mut self, node: &Node, entries: &[Taken]) -> Result<(ManifestWork, Vec<String>)> {
        if self.capabilities.index_types.is_empty() {
            // The words of containers/image, which scripts search for.
            return Err(Error::new(ErrorKind::Unsupported, "copying multiple images", "").with_detail(
                format!(
                    "destination transport \"{}\" does not support copying multiple images as a group",
                    self.destination
                ),
            ));
        }
        let Content::Index { index, .. } = &node.content else { unreachable!("it is an index") };
        let mut changes = Vec::new();
        if !self.capabilities.index_types.contains(node.raw.media_type()) {
            changes.push(format!("{} cannot hold {}", self.destination, node.raw.media_type()));
        }
        let left = entries.iter().filter(|taken| **taken == Taken::Left).count();
        if left > 0 && self.options.partial_index == PartialIndex::Strip && left < entries.len() {
            changes.push(format!("{left} of {} entries are left out", entries.len()));
        }
        for (entry, taken) in index.manifests.iter().zip(entries) {
            match taken {
                Taken::Node(place) => {
                    if !self.manifests[*place].changes.is_empty() {
                        changes.push(format!("{} changes", entry.digest));
                    }
                }
                Taken::Blob => {
                    self.add_copy(entry.clone(), BlobKind::Other);
                }
                Taken::Left => {}
            }
        }
        let work = if changes.is_empty() { ManifestWork::Keep } else { ManifestWork::Index };
        Ok((work, changes))
    }

    fn holds(&self, raw: &RawManifest) -> bool {
        self.capabilities.manifest_types.contains(raw.media_type())
    }

    /// The format that an image is written in.
    fn format(
        &self,
        node: &Node,
        image: &ImageManifest,
        changes: &mut Vec<String>,
    ) -> Result<ImageFormat> {
        let holds = |format: ImageFormat| {
            self.capabilities.manifest_types.contains(&format.manifest_type())
        };
        let wants_zstd = matches!(
            self.options.layers.wanted,
            LayersWanted::Compress(Compression::Zstd)
                | LayersWanted::CompressPlain(Compression::Zstd)
        );
        let (format, reason) = match self.options.format {
            Some(ImageFormat::Docker) if wants_zstd => {
                return Err(self
                    .unsupported(node, "Docker manifests cannot hold zstd layers".into())
                    .with_hint("leave out --format, or use --format oci"));
            }
            Some(format) if !holds(format) => {
                return Err(self.unsupported(
                    node,
                    format!("{} cannot hold {}", self.destination, format.manifest_type()),
                ));
            }
            Some(format) => (format, "--format asks for it".to_owned()),
            None if wants_zstd && holds(ImageFormat::Oci) => {
                (ImageFormat::Oci, "Docker manifests cannot hold zstd layers".to_owned())
            }
            None if holds(image.format) => (image.format, String::new()),
            None => {
                let other = match image.format {
                    ImageFormat::Oci => ImageFormat::Docker,
                    ImageFormat::Docker => ImageFormat::Oci,
                };
                if !holds(other) {
                    return Err(self.unsupported(
                        node,
                        format!("{} can hold no manifest that it could become", self.destination),
                    ));
                }
                (other, format!("{} cannot hold {}", self.destination, node.raw.media_type()))
            }
        };
        if format != image.format {
            changes.push(reason);
        }
        Ok(format)
    }

    /// Adds the config: the source's, or the one that converting made.
    fn config(&mut self, image: &ImageManifest, converted: &ImageManifest, config: Bytes) {
        if converted.config.digest == image.config.digest {
            let mut step = copy_step(
                Descriptor {
                    media_type: converted.config.media_type.clone(),
                    ..image.config.clone()
                },
                BlobKind::Config,
            );
            // It was read already, so it need not be read again.
            step.made = Some(config);
            self.add_blob(step);
        } else {
            let step = BlobStep {
                action: BlobAction::Make,
                reason: "the config is written in another format".into(),
                made: Some(config),
                ..copy_step(converted.config.clone(), BlobKind::Config)
            };
            self.add_blob(step);
        }
    }

    /// What happens to one layer, and why.
    fn layer(
        &self,
        node: &Node,
        layer: &Descriptor,
        diff_id: &Digest,
    ) -> Result<(BlobAction, Option<Target>, String)> {
        let keep = |reason: &str| Ok((BlobAction::Copy, None, reason.to_owned()));
        let named = layer.media_type.layer_compression();
        let is_foreign = layer.media_type.is_nondistributable_layer() && !layer.urls.is_empty();
        if is_foreign && self.capabilities.foreign_layers {
            let reason = "it is not to be distributed".to_owned();
            return Ok((BlobAction::Leave, None, reason));
        }
        if self.capabilities.layer_form == LayerForm::Uncompressed {
            return match self.options.layers.wanted {
                LayersWanted::Compress(_) | LayersWanted::CompressPlain(_) => {
                    Err(self
                        .unsupported(node, format!("{} holds plain layers only", self.destination)))
                }
                _ if layer.digest == *diff_id => keep(""),
                _ => Ok((
                    BlobAction::Decompress,
                    Some(Target::Plain),
                    format!("{} holds plain layers only", self.destination),
                )),
            };
        }
        // A layer in no known form (encrypted, say) is nobody's to change.
        let Some(named) = named else { return keep("") };
        let wants_compressed = self.capabilities.layer_form == LayerForm::Compressed;
        let compress = |compression, recompress, reason: String| {
            let level = self.options.layers.level;
            let target = Target::Compressed { compression, level, recompress };
            Ok((BlobAction::Compress(compression), Some(target), reason))
        };
        match self.options.layers.wanted {
            LayersWanted::Keep => keep(""),
            LayersWanted::Decompress if named != LayerCompression::None => Ok((
                BlobAction::Decompress,
                Some(Target::Plain),
                "plain layers are asked for".into(),
            )),
            LayersWanted::Decompress => keep(""),
            LayersWanted::Compress(wanted) if !names(named, wanted) => {
                compress(wanted, true, format!("{wanted} is asked for"))
            }
            LayersWanted::Compress(_) => keep(""),
            LayersWanted::CompressPlain(wanted) if named == LayerCompression::None => {
                compress(wanted, false, format!("{wanted} is asked for"))
            }
            LayersWanted::CompressPlain(_) => keep(""),
            LayersWanted::AsDestinationWants
                if wants_compressed && named == LayerCompression::None && self.fixed.is_none() =>
            {
                compress(
                    Compression::Gzip,
                    false,
                    format!("{} wants compressed layers", self.destination),
                )
            }
            LayersWanted::AsDestinationWants => keep(""),
        }
    }

    fn add_copy(&mut self, blob: Descriptor, kind: BlobKind) {
        self.add_blob(copy_step(blob, kind));
    }

    /// Adds a blob unless the same is done with it already, and tells its place.
    fn add_blob(&mut self, step: BlobStep) -> usize {
        let key = (step.source.digest.clone(), step.action);
        *self.known.entry(key).or_insert_with(|| {
            self.blobs.push(step);
            self.blobs.len() - 1
        })
    }
}

fn copy_step(source: Descriptor, kind: BlobKind) -> BlobStep {
    BlobStep {
        source,
        kind,
        action: BlobAction::Copy,
        reason: String::new(),
        have: Have::Missing,
        target: None,
        made: None,
    }
}

fn names(named: LayerCompression, wanted: Compression) -> bool {
    matches!(
        (named, wanted),
        (LayerCompression::None, Compression::None)
            | (LayerCompression::Gzip, Compression::Gzip)
            | (LayerCompression::Zstd, Compression::Zstd)
    )
}

/// What is said about a layer once its bytes are made; digest and size come later.
fn planned_change(layer: &Descriptor, target: Option<Target>) -> LayerChange {
    let compression = match target {
        None => None,
        Some(Target::Plain) => Some(LayerCompression::None),
        Some(Target::Compressed { compression, .. }) => layer_compression(compression),
    };
    match compression {
        None => LayerChange::keep(layer),
        Some(compression) => {
            LayerChange::recompressed(layer, layer.digest.clone(), layer.size, compression)
        }
    }
}

/// The digests of the plain layers, one for each layer.
fn diff_ids(image: &ImageManifest, config: &Bytes) -> Result<Vec<Digest>> {
    let corrupt = || Error::new(ErrorKind::Corrupt, "reading config", &image.config.digest);
    let parsed =
        ImageConfig::parse(config.clone()).map_err(|error| corrupt().with_source(error))?;
    let (of_config, of_manifest) = (parsed.diff_ids.len(), image.layers.len());
    if of_config != of_manifest {
        return Err(corrupt()
            .with_detail(format!("it lists {of_config} layers, and the manifest {of_manifest}")));
    }
    Ok(parsed.diff_ids)
}
