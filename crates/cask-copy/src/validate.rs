//! Recomputing everything that an image says of itself.

mod blobs;
mod facts;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cask_image::{
    Descriptor, Digest, ImageConfig, ImageManifest, LayerCompression, MAX_CONFIG_BYTES, Manifest,
    MediaType, Schema1,
};
use cask_transport::{
    Event, EventSink, Location, Outcome, Result, Selector, TaskId, TaskKind, VerifiedSource,
};

use crate::decide::has_layers;
use crate::graph::{MAX_INDEX_DEPTH, MAX_MANIFESTS};
use crate::held::as_held;
use blobs::Expected;
use facts::Facts;

/// What [`validate`] found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Validation {
    /// How many manifests and indexes were read.
    pub manifests: usize,
    /// How many configs, layers and other blobs were read.
    pub blobs: usize,
    /// How many bytes of blobs were hashed.
    pub bytes: u64,
    /// What is wrong, each once.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong with an image.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Problem {
    /// The digest of what is wrong.
    pub digest: Digest,
    /// What is wrong, as a sentence without a full stop.
    pub message: String,
}

/// Reads everything that a location holds of an image and compares digests, sizes, media types
/// and the digests of plain layers. Goes on after a problem, so that all are found.
///
/// Each part of an index that is missing is a problem. A blob is read once, however many manifests
/// name it; what each of them says of it is compared. Layers are decompressed within the limits of
/// [`DecompressLimits`](cask_layer::DecompressLimits); whether a layer is a tar is not looked at.
///
/// # Errors
/// Only what keeps it from looking at all: `NotFound`, and what the place says.
pub async fn validate(from: &dyn Location, events: Arc<dyn EventSink>) -> Result<Validation> {
    let source = from.source().await?;
    let top = source.resolve(&Selector::Chosen).await?;
    let mut run = Run {
        source,
        events,
        found: Validation::default(),
        known: HashSet::new(),
        manifests: HashMap::new(),
        blobs: HashMap::new(),
        failed: HashMap::new(),
        tasks: 0,
    };
    run.manifest(&top, 0).await;
    Ok(run.found)
}

struct Run {
    source: VerifiedSource,
    events: Arc<dyn EventSink>,
    found: Validation,
    /// The problems that were found, so that none is told twice.
    known: HashSet<Problem>,
    /// The manifests that were read, or tried, and what was said of them.
    manifests: HashMap<Digest, (MediaType, u64)>,
    /// What was found out about each blob that could be read.
    blobs: HashMap<Digest, Facts>,
    /// How often a blob could not be read.
    failed: HashMap<Digest, usize>,
    tasks: u64,
}

impl Run {
    fn problem(&mut self, digest: &Digest, message: impl Into<String>) {
        let problem = Problem { digest: digest.clone(), message: message.into() };
        if self.known.insert(problem.clone()) {
            self.found.problems.push(problem);
        }
    }

    /// Whether a manifest is met for the first time; later ones are compared with what was said.
    fn is_new(&mut self, descriptor: &Descriptor) -> bool {
        let Descriptor { digest, media_type, size, .. } = descriptor;
        let said = (media_type.clone(), *size);
        match self.manifests.insert(digest.clone(), said.clone()) {
            None => true,
            Some(before) if before == said => false,
            Some((before, before_size)) => {
                self.problem(
                    digest,
                    format!(
                        "it is said to be {before} of {before_size} bytes, and {media_type} of \
                         {size} bytes"
                    ),
                );
                false
            }
        }
    }

    async fn manifest(&mut self, descriptor: &Descriptor, depth: usize) {
        if !self.is_new(descriptor) {
            return;
        }
        if depth > MAX_INDEX_DEPTH && descriptor.media_type.is_index() {
            let message = format!("indexes lie more than {MAX_INDEX_DEPTH} deep in indexes");
            return self.problem(&descriptor.digest, message);
        }
        if self.manifests.len() > MAX_MANIFESTS {
            let message = format!("there are more than {MAX_MANIFESTS} manifests");
            return self.problem(&descriptor.digest, message);
        }
        let raw = match self.source.manifest(descriptor).await {
            Ok(raw) => raw,
            Err(error) => return self.problem(&descriptor.digest, chain(&error)),
        };
        self.found.manifests += 1;
        match raw.parse() {
            Err(error) => self.problem(&descriptor.digest, chain(&error)),
            Ok(Manifest::Image(image)) => match self.as_held(descriptor, image).await {
                Ok(image) => self.image(&image).await,
                Err(error) => self.problem(&descriptor.digest, error),
            },
            Ok(Manifest::Index(index)) => {
                for entry in &index.manifests {
                    if entry.media_type.is_manifest() {
                        Box::pin(self.manifest(entry, depth + 1)).await;
                    } else {
                        self.blobs(vec![Expected::blob(entry)]).await;
                    }
                }
            }
            Ok(Manifest::Schema1(schema1)) => self.schema1(&schema1).await,
            Ok(_) => self.problem(&descriptor.digest, "the kind of manifest is unknown"),
        }
    }

    /// The image with the layers that its place has.
    async fn as_held(
        &self,
        descriptor: &Descriptor,
        image: ImageManifest,
    ) -> Result<ImageManifest, String> {
        match self.source.held_layers(descriptor).await {
            Ok(Some(held)) => as_held(&image, &held).map_err(|error| chain(&error)),
            Ok(None) => Ok(image),
            Err(error) => Err(chain(&error)),
        }
    }

    async fn schema1(&mut self, schema1: &Schema1) {
        let mut expected = Vec::new();
        for layer in &schema1.layers {
            match self.source.blob_size(&layer.digest).await {
                Ok(size) => {
                    let media_type = MediaType::DockerLayer(LayerCompression::Gzip);
                    let layer = Descriptor::new(media_type, layer.digest.clone(), size);
                    expected.push(Expected::blob(&layer));
                }
                Err(error) => self.problem(&layer.digest, chain(&error)),
            }
        }
        self.blobs(expected).await;
    }

    async fn image(&mut self, image: &ImageManifest) {
        if image.is_artifact() {
            let parts = std::iter::once(&image.config).chain(&image.layers);
            return self.blobs(parts.map(Expected::blob).collect()).await;
        }
        let diff_ids = self.config(image).await.unwrap_or_default();
        let layers = image.layers.iter().enumerate();
        let layers = layers.map(|(place, layer)| Expected::layer(layer, diff_ids.get(place)));
        self.blobs(layers.collect()).await;
    }

    /// Reads the config of an image, for the digests of the plain layers.
    async fn config(&mut self, image: &ImageManifest) -> Option<Vec<Digest>> {
        let bytes = self.read_config(&image.config).await?;
        let digest = &image.config.digest;
        // An artifact that borrowed the config's type has parts that are no layers.
        let is_artifact = !image.layers.is_empty() && !has_layers(image);
        let diff_ids = match ImageConfig::parse(bytes) {
            Ok(config) => config.diff_ids,
            Err(_) if is_artifact => return None,
            Err(error) => {
                self.problem(digest, chain(&error));
                return None;
            }
        };
        if diff_ids.len() != image.layers.len() {
            if is_artifact {
                return None;
            }
            let (of_config, of_manifest) = (diff_ids.len(), image.layers.len());
            let message = format!("it lists {of_config} layers, and the manifest {of_manifest}");
            self.problem(digest, message);
        }
        Some(diff_ids)
    }

    async fn read_config(&mut self, config: &Descriptor) -> Option<bytes::Bytes> {
        let task = TaskId(self.tasks);
        self.tasks += 1;
        let kind = TaskKind::Config { digest: config.digest.clone() };
        self.events.send(Event::Started { task, kind, total_bytes: Some(config.size) });
        let read = self.source.blob_bytes(config, MAX_CONFIG_BYTES).await;
        let outcome = if read.is_ok() {
            self.events.send(Event::Advanced { task, bytes: config.size });
            Outcome::Checked
        } else {
            Outcome::Failed
        };
        self.events.send(Event::Finished { task, outcome });
        match read {
            Ok(bytes) => {
                let is_new = !self.blobs.contains_key(&config.digest);
                self.blobs.entry(config.digest.clone()).or_insert_with(|| Facts::of(config.size));
                self.count(is_new, config.size);
                Some(bytes)
            }
            Err(error) => {
                self.problem(&config.digest, chain(&error));
                None
            }
        }
    }

    fn count(&mut self, is_new: bool, size: u64) {
        if is_new {
            self.found.blobs += 1;
            self.found.bytes = self.found.bytes.saturating_add(size);
        }
    }
}

/// An error with all that lies beneath it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}
