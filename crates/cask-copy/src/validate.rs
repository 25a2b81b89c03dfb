//! Recomputing everything that an image says of itself.

use std::collections::HashSet;
use std::io::{self, Read};
use std::sync::Arc;

use cask_image::{
    Descriptor, Digest, Hasher, ImageConfig, ImageManifest, LayerCompression, MAX_CONFIG_BYTES,
    Manifest,
};
use cask_layer::{Compression, DecompressLimits, decompress, detect_reader, pipelined};
use cask_transport::{
    BlobRead, CHUNK_BYTES, Error, Event, EventSink, Location, Outcome, Result, Selector, TaskId,
    TaskKind, VerifiedSource, blocking,
};
use futures_util::StreamExt as _;

use crate::graph::{MAX_INDEX_DEPTH, MAX_MANIFESTS};

/// How many layers are read at once.
const PARALLEL_LAYERS: usize = 4;

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
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong with an image.
#[derive(Clone, Debug, PartialEq, Eq)]
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
/// Each part of an index that is missing is a problem.
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
        manifests: HashSet::new(),
        blobs: HashSet::new(),
    };
    run.manifest(&top, 0).await;
    Ok(run.found)
}

struct Run {
    source: VerifiedSource,
    events: Arc<dyn EventSink>,
    found: Validation,
    manifests: HashSet<Digest>,
    blobs: HashSet<Digest>,
}

/// A blob that is to be read.
struct Expected {
    blob: Descriptor,
    is_config: bool,
    /// For layers: the digest of the plain tar.
    diff_id: Option<Digest>,
}

impl Run {
    fn problem(&mut self, digest: &Digest, message: impl Into<String>) {
        self.found.problems.push(Problem { digest: digest.clone(), message: message.into() });
    }

    async fn manifest(&mut self, descriptor: &Descriptor, depth: usize) {
        if !self.manifests.insert(descriptor.digest.clone()) {
            return;
        }
        if depth > MAX_INDEX_DEPTH || self.manifests.len() > MAX_MANIFESTS {
            self.problem(&descriptor.digest, "too many manifests, or too deep in indexes");
            return;
        }
        let raw = match self.source.manifest(descriptor).await {
            Ok(raw) => raw,
            Err(error) => return self.problem(&descriptor.digest, chain(&error)),
        };
        self.found.manifests += 1;
        match raw.parse() {
            Err(error) => self.problem(&descriptor.digest, chain(&error)),
            Ok(Manifest::Image(image)) => self.image(&image).await,
            Ok(Manifest::Index(index)) => {
                for entry in &index.manifests {
                    if entry.media_type.is_manifest() {
                        Box::pin(self.manifest(entry, depth + 1)).await;
                    } else {
                        self.blobs(vec![plain_blob(entry)]).await;
                    }
                }
            }
            Ok(Manifest::Schema1(schema1)) => {
                let mut expected = Vec::new();
                for layer in &schema1.layers {
                    match self.source.blob_size(&layer.digest).await {
                        Ok(size) => expected.push(plain_blob(&Descriptor::new(
                            cask_image::MediaType::DockerLayer(LayerCompression::Gzip),
                            layer.digest.clone(),
                            size,
                        ))),
                        Err(error) => self.problem(&layer.digest, chain(&error)),
                    }
                }
                self.blobs(expected).await;
            }
            Ok(_) => self.problem(&descriptor.digest, "the kind of manifest is unknown"),
        }
    }

    async fn image(&mut self, image: &ImageManifest) {
        let config = Expected { is_config: true, ..plain_blob(&image.config) };
        let mut diff_ids = Vec::new();
        if !image.is_artifact()
            && let Ok(bytes) = self.source.blob_bytes(&image.config, MAX_CONFIG_BYTES).await
        {
            match ImageConfig::parse(bytes) {
                Ok(config) => diff_ids = config.diff_ids,
                Err(error) => self.problem(&image.config.digest, chain(&error)),
            }
            if diff_ids.len() != image.layers.len() {
                let (of_config, of_manifest) = (diff_ids.len(), image.layers.len());
                self.problem(
                    &image.config.digest,
                    format!("it lists {of_config} layers, and the manifest {of_manifest}"),
                );
            }
        }
        let layers = image.layers.iter().enumerate().map(|(place, layer)| Expected {
            diff_id: diff_ids.get(place).cloned(),
            ..plain_blob(layer)
        });
        self.blobs(std::iter::once(config).chain(layers).collect()).await;
    }

    async fn blobs(&mut self, expected: Vec<Expected>) {
        let first_task = self.blobs.len() as u64;
        let new: Vec<_> =
            expected.into_iter().filter(|one| self.blobs.insert(one.blob.digest.clone())).collect();
        let (source, events) = (&self.source, &self.events);
        let results: Vec<_> = futures_util::stream::iter(new.into_iter().enumerate())
            .map(|(number, one)| async move {
                let task = TaskId(first_task + number as u64);
                let digest = one.blob.digest.clone();
                let kind = if one.is_config {
                    TaskKind::Config { digest: digest.clone() }
                } else {
                    TaskKind::Blob { digest: digest.clone() }
                };
                events.send(Event::Started { task, kind, total_bytes: Some(one.blob.size) });
                let result = check_blob(source, &one, task, events).await;
                let outcome = if result.is_ok() { Outcome::Checked } else { Outcome::Failed };
                events.send(Event::Finished { task, outcome });
                (digest, one.blob.size, result)
            })
            .buffered(PARALLEL_LAYERS)
            .collect()
            .await;
        for (digest, size, result) in results {
            match result {
                Ok(None) => {}
                Ok(Some(message)) => self.problem(&digest, message),
                Err(error) => {
                    self.problem(&digest, chain(&error));
                    continue;
                }
            }
            self.found.blobs += 1;
            self.found.bytes += size;
        }
    }
}

fn plain_blob(blob: &Descriptor) -> Expected {
    Expected { blob: blob.clone(), is_config: false, diff_id: None }
}

/// Reads one blob whole; `Some` is what is wrong although its digest is right.
async fn check_blob(
    source: &VerifiedSource,
    expected: &Expected,
    task: TaskId,
    events: &Arc<dyn EventSink>,
) -> Result<Option<String>> {
    let sink = Arc::clone(events);
    let reader = source.blob(&expected.blob).await?.watched(Arc::new(move |bytes| {
        sink.send(Event::Advanced { task, bytes });
        std::ops::ControlFlow::Continue(())
    }));
    let named = expected.blob.media_type.layer_compression();
    let (Some(named), Some(diff_id)) = (named, expected.diff_id.clone()) else {
        return reader.drain().await.map(|_| None);
    };
    let read = reader.into_read();
    let checked = blocking(move || check_layer(read, named, &diff_id)).await?;
    if checked.is_some() {
        // A layer that cannot be unpacked may have been left before its end.
        source.blob(&expected.blob).await?.drain().await?;
    }
    Ok(checked)
}

fn check_layer(
    read: BlobRead,
    named: LayerCompression,
    diff_id: &Digest,
) -> Result<Option<String>> {
    let unpacked = (|| -> io::Result<(Compression, Digest)> {
        let (found, read) = detect_reader(read)?;
        let mut plain = pipelined(decompress(read, found, DecompressLimits::default()))?;
        let mut hasher = Hasher::new(diff_id.algorithm());
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            match plain.read(&mut buffer)? {
                0 => return Ok((found, hasher.finish())),
                bytes => hasher.update(&buffer[..bytes]),
            }
        }
    })();
    match unpacked {
        // An error of the seam is about the blob itself; any other about what is inside.
        Err(error) if error.get_ref().is_some_and(|inner| inner.is::<Error>()) => {
            Err(Error::from_io(error, "reading layer", ""))
        }
        Err(error) => Ok(Some(format!("it cannot be decompressed: {}", chain(&error)))),
        Ok((_, plain)) if plain != *diff_id => {
            Ok(Some(format!("does not match config's DiffID: expected {diff_id}, got {plain}")))
        }
        Ok((found, _)) => Ok(wrong_label(named, found)),
    }
}

fn wrong_label(named: LayerCompression, found: Compression) -> Option<String> {
    let is_right = matches!(
        (named, found),
        (LayerCompression::None, Compression::None)
            | (LayerCompression::Gzip, Compression::Gzip)
            | (LayerCompression::Zstd, Compression::Zstd)
    );
    (!is_right).then(|| format!("its media type says {named:?}, but its content is {found}"))
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
