//! Bodies of blobs, which can be opened again.

use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use cask_image::{Algorithm, Descriptor, Digest, Hasher};
use cask_layer::{Compression, DecompressLimits, decompress, detect_reader, pipelined};
use cask_transport::{
    BlobRead, BlobReader, Body, Cancellation, Error, ErrorKind, Result, TaskId, VerifiedSource,
    blocking,
};

use super::compressing::{chunking, compressing};
use super::errors::{LayerErrors, layer_error};
use super::{Described, Form, Progress, Target, layer_compression};

/// A blob of the source, unchanged.
pub(crate) struct PlainBody {
    pub(crate) source: VerifiedSource,
    pub(crate) descriptor: Descriptor,
    pub(crate) progress: Arc<Progress>,
    pub(crate) cancellation: Cancellation,
}

#[async_trait]
impl Body for PlainBody {
    async fn open(&self) -> Result<BlobReader> {
        self.open_after(&Hasher::new(self.descriptor.digest.algorithm())).await
    }

    async fn open_after(&self, prefix: &Hasher) -> Result<BlobReader> {
        let reader = self.source.blob_after(&self.descriptor, prefix).await?;
        Ok(reader.watched(self.progress.watch(prefix.len())).cancelled_by(&self.cancellation))
    }
}

/// A small blob that is in memory.
pub(crate) struct BytesBody {
    pub(crate) bytes: Bytes,
    /// The algorithm of its digest.
    pub(crate) algorithm: Algorithm,
    pub(crate) progress: Arc<Progress>,
}

#[async_trait]
impl Body for BytesBody {
    async fn open(&self) -> Result<BlobReader> {
        let reader = BlobReader::measured(io::Cursor::new(self.bytes.clone()), self.algorithm);
        Ok(reader.watched(self.progress.watch(0)))
    }
}

/// A layer of the source in another form.
pub(crate) struct LayerBody {
    plain: PlainBody,
    target: Target,
    /// The digest that the plain tar must have.
    diff_id: Option<Digest>,
    limits: DecompressLimits,
    threads: NonZeroUsize,
    /// Learned from the content when it is opened.
    result: OnceLock<Compression>,
    /// Learned when the bytes are made.
    described: Arc<OnceLock<Described>>,
}

impl LayerBody {
    pub(crate) fn new(
        plain: PlainBody,
        target: Target,
        diff_id: Option<Digest>,
        limits: DecompressLimits,
        threads: NonZeroUsize,
    ) -> Self {
        let (result, described) = (OnceLock::new(), Arc::default());
        Self { plain, target, diff_id, limits, threads, result, described }
    }

    /// The tar of a layer, whatever it is compressed with. Nobody is told of the reading.
    pub(crate) fn unpacked(
        source: VerifiedSource,
        descriptor: Descriptor,
        limits: DecompressLimits,
    ) -> Self {
        let progress = Progress::new(Arc::new(()), TaskId(0));
        let plain = PlainBody { source, descriptor, progress, cancellation: Cancellation::new() };
        Self::new(plain, Target::Plain, None, limits, NonZeroUsize::MIN)
    }

    /// How the bytes are compressed that were given out; `None` before it was opened.
    pub(crate) fn result(&self) -> Option<Compression> {
        self.result.get().copied()
    }

    /// What is known of the bytes that were given out, where all were.
    pub(crate) fn described(&self) -> Described {
        self.described.get().cloned().unwrap_or_default()
    }
}

#[async_trait]
impl Body for LayerBody {
    async fn open(&self) -> Result<BlobReader> {
        let read = self.plain.open().await?.into_read();
        let work = Work {
            target: self.target,
            diff_id: self.diff_id.clone(),
            limits: self.limits,
            threads: self.threads,
            layer: self.plain.descriptor.digest.clone(),
            described: Arc::clone(&self.described),
        };
        let (reader, result) = blocking(move || work.transform(read)).await?;
        // Opening again finds the same.
        let _ = self.result.set(result);
        Ok(reader)
    }
}

/// What is done with a layer when it is opened.
struct Work {
    target: Target,
    diff_id: Option<Digest>,
    limits: DecompressLimits,
    threads: NonZeroUsize,
    layer: Digest,
    described: Arc<OnceLock<Described>>,
}

impl Work {
    fn transform(self, read: BlobRead) -> Result<(BlobReader, Compression)> {
        let layer = self.layer.clone();
        let fail = |error| layer_error(error, &layer);
        let (found, read) = detect_reader(read).map_err(fail)?;
        let algorithm = self.diff_id.as_ref().map_or(Algorithm::Sha256, Digest::algorithm);
        match self.target {
            Target::Plain => {
                // Who writes it compares the digest with the config's.
                let plain = self.plain(read, found).map_err(fail)?;
                Ok((BlobReader::measured(plain, algorithm), Compression::None))
            }
            Target::Compressed { keeps, .. } if keeps.contains(&found) => {
                Ok((BlobReader::measured(read, layer.algorithm()), found))
            }
            Target::Compressed { compression, form, level, .. } => {
                let plain = self.plain(read, found).map_err(fail)?;
                // Of a plain layer, the reader compares the same digest already.
                let unchecked = self.diff_id.clone().filter(|diff_id| *diff_id != layer);
                let plain = CheckedLayer::new(plain, unchecked, layer.clone());
                let compressed = match form {
                    Form::Stream => compressing(plain, compression, level, self.threads),
                    Form::Chunked => chunking(plain, level, self.threads, self.described),
                };
                let compressed = compressed.map_err(fail)?;
                let read = LayerErrors { read: compressed, layer: layer.clone() };
                let reader = BlobReader::measured(read, Algorithm::Sha256);
                let reader = match self.diff_id {
                    Some(diff_id) => reader.with_unpacked(diff_id, layer_compression(compression)),
                    None => reader,
                };
                Ok((reader, compression))
            }
        }
    }

    /// The tar inside, read and verified on a thread of its own so that hashing, decompressing and
    /// writing go on at once.
    fn plain(
        &self,
        read: impl Read + Send + 'static,
        found: Compression,
    ) -> io::Result<LayerErrors<Box<dyn Read + Send>>> {
        let read: Box<dyn Read + Send> = match found {
            // Nothing unpacks, so nothing is limited: the size was promised.
            Compression::None => Box::new(pipelined(read)?),
            found => Box::new(pipelined(decompress(read, found, self.limits))?),
        };
        Ok(LayerErrors { read, layer: self.layer.clone() })
    }
}

/// Fails at its end unless the plain layer has the digest that the config promises.
struct CheckedLayer<R> {
    read: R,
    hasher: Option<Hasher>,
    diff_id: Option<Digest>,
    layer: Digest,
}

impl<R> CheckedLayer<R> {
    fn new(read: R, diff_id: Option<Digest>, layer: Digest) -> Self {
        let hasher = diff_id.as_ref().map(|diff_id| Hasher::new(diff_id.algorithm()));
        Self { read, hasher, diff_id, layer }
    }
}

impl<R: Read> Read for CheckedLayer<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.read.read(buffer)?;
        if bytes > 0 {
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&buffer[..bytes]);
            }
            return Ok(bytes);
        }
        if let (Some(hasher), Some(expected)) = (self.hasher.take(), &self.diff_id)
            && !buffer.is_empty()
        {
            let found = hasher.finish();
            if found != *expected {
                return Err(diff_id_mismatch(&self.layer, expected, &found).into());
            }
        }
        Ok(0)
    }
}

/// The error of a layer that is not what its image's config says.
pub(crate) fn diff_id_mismatch(layer: &Digest, expected: &Digest, found: &Digest) -> Error {
    Error::new(ErrorKind::DigestMismatch, "reading layer", layer).with_detail(format!(
        "(blob {layer}) does not match config's DiffID: expected {expected}, got {found}"
    ))
}
