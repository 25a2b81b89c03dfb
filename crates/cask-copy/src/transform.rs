//! Layers that are compressed or decompressed on the way.

use std::io::{self, Read, Write as _};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use cask_image::{Algorithm, Descriptor, Digest, Hasher};
use cask_layer::{
    Compression, DecompressLimits, Level, compress, decompress, detect_reader, pipelined,
};
use cask_transport::{
    BlobRead, BlobReader, Body, CHUNK_BYTES, Error, ErrorKind, Result, VerifiedSource, Watch,
    blocking,
};

/// What happens to a layer's bytes. The content decides what has to be done, not its media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Plain.
    Plain,
    /// Compressed to this; with `recompress`, also what is compressed otherwise.
    Compressed { compression: Compression, level: Level, recompress: bool },
}

/// A blob of the source, unchanged.
pub(crate) struct PlainBody {
    pub(crate) source: VerifiedSource,
    pub(crate) descriptor: Descriptor,
    pub(crate) watch: Arc<Watch>,
}

#[async_trait]
impl Body for PlainBody {
    async fn open(&self) -> Result<BlobReader> {
        let reader = self.source.blob(&self.descriptor).await?;
        Ok(reader.watched(Arc::clone(&self.watch)))
    }

    async fn open_after(&self, prefix: &Hasher) -> Result<BlobReader> {
        let reader = self.source.blob_after(&self.descriptor, prefix).await?;
        Ok(reader.watched(Arc::clone(&self.watch)))
    }
}

/// A small blob that is in memory.
pub(crate) struct BytesBody(pub(crate) bytes::Bytes);

#[async_trait]
impl Body for BytesBody {
    async fn open(&self) -> Result<BlobReader> {
        Ok(BlobReader::measured(io::Cursor::new(self.0.clone()), Algorithm::Sha256))
    }
}

/// A layer of the source in another form.
pub(crate) struct LayerBody {
    pub(crate) plain: PlainBody,
    pub(crate) target: Target,
    /// The digest that the plain tar must have.
    pub(crate) diff_id: Option<Digest>,
    pub(crate) threads: NonZeroUsize,
    /// Learned from the content when it is opened.
    pub(crate) result: OnceLock<Compression>,
}

impl LayerBody {
    pub(crate) fn new(
        plain: PlainBody,
        target: Target,
        diff_id: Option<Digest>,
        threads: NonZeroUsize,
    ) -> Self {
        Self { plain, target, diff_id, threads, result: OnceLock::new() }
    }

    /// The tar of a layer, whatever it is compressed with.
    pub(crate) fn plain(source: VerifiedSource, descriptor: Descriptor) -> Self {
        let watch = Arc::new(|_| ControlFlow::Continue(()));
        let plain = PlainBody { source, descriptor, watch };
        Self::new(plain, Target::Plain, None, NonZeroUsize::MIN)
    }
}

#[async_trait]
impl Body for LayerBody {
    async fn open(&self) -> Result<BlobReader> {
        let read = self.plain.open().await?.into_read();
        let Self { target, diff_id, threads, .. } = self;
        let (target, diff_id, threads) = (*target, diff_id.clone(), *threads);
        let layer = self.plain.descriptor.digest.clone();
        let (reader, result) =
            blocking(move || transform(read, target, diff_id, threads, layer)).await?;
        // Opening again finds the same.
        let _ = self.result.set(result);
        Ok(reader)
    }
}

fn transform(
    read: BlobRead,
    target: Target,
    diff_id: Option<Digest>,
    threads: NonZeroUsize,
    layer: Digest,
) -> Result<(BlobReader, Compression)> {
    let fail = |error| Error::from_io(error, "reading layer", &layer);
    let (found, read) = detect_reader(read).map_err(fail)?;
    let algorithm = diff_id.as_ref().map_or(Algorithm::Sha256, Digest::algorithm);
    match target {
        Target::Plain => {
            // Who writes it compares the digest with the config's.
            let plain = plain(read, found).map_err(fail)?;
            Ok((BlobReader::measured(plain, algorithm), Compression::None))
        }
        Target::Compressed { compression, recompress, .. }
            if found != Compression::None && (found == compression || !recompress) =>
        {
            Ok((BlobReader::measured(read, Algorithm::Sha256), found))
        }
        Target::Compressed { compression, level, .. } => {
            let plain = plain(read, found).map_err(fail)?;
            let plain = CheckedLayer::new(plain, diff_id, layer.clone());
            let compressed = compressing(plain, compression, level, threads).map_err(fail)?;
            Ok((BlobReader::measured(compressed, Algorithm::Sha256), compression))
        }
    }
}

/// The tar inside, read and verified on a thread of its own so that hashing, decompressing and
/// writing go on at once.
fn plain(read: impl Read + Send + 'static, found: Compression) -> io::Result<Box<dyn Read + Send>> {
    if found == Compression::None {
        return Ok(Box::new(pipelined(read)?));
    }
    Ok(Box::new(pipelined(decompress(read, found, DecompressLimits::default()))?))
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

/// How many compressed chunks may wait for the writer.
const CHUNKS_AHEAD: usize = 4;

/// Compresses on a thread of its own.
fn compressing(
    mut plain: impl Read + Send + 'static,
    compression: Compression,
    level: Level,
    threads: NonZeroUsize,
) -> io::Result<ChannelRead> {
    let (sender, receiver) = sync_channel(CHUNKS_AHEAD);
    let writer = ChannelWrite { sender: sender.clone(), chunk: Vec::with_capacity(CHUNK_BYTES) };
    let mut encoder = compress(writer, compression, level, threads)?;
    std::thread::Builder::new().name("cask-compress".into()).spawn(move || {
        let done = (|| {
            let mut buffer = vec![0; CHUNK_BYTES];
            loop {
                match plain.read(&mut buffer)? {
                    0 => break,
                    bytes => encoder.write_all(&buffer[..bytes])?,
                }
            }
            encoder.finish()?.flush()
        })();
        // A reader that is gone wants neither the end nor the error.
        let _ = sender.send(done.map(|()| Vec::new()));
    })?;
    Ok(ChannelRead { receiver, chunk: Vec::new(), at: 0, ended: false })
}

struct ChannelWrite {
    sender: SyncSender<io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
}

impl io::Write for ChannelWrite {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.chunk.extend_from_slice(bytes);
        if self.chunk.len() >= CHUNK_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK_BYTES));
        self.sender.send(Ok(chunk)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

struct ChannelRead {
    receiver: Receiver<io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Read for ChannelRead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.chunk.len() && !self.ended {
            // The empty chunk is the end; a channel that closes without is a thread that died.
            self.chunk = self.receiver.recv().map_err(|_| {
                io::Error::other("the compressing thread stopped without a result")
            })??;
            self.at = 0;
            self.ended = self.chunk.is_empty();
        }
        let bytes = buffer.len().min(self.chunk.len() - self.at);
        buffer[..bytes].copy_from_slice(&self.chunk[self.at..self.at + bytes]);
        self.at += bytes;
        Ok(bytes)
    }
}
