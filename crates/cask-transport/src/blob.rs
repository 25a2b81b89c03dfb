//! Blobs as streams that check themselves.
//!
//! Local places read synchronously and registries asynchronously. A reader is either, and is
//! turned into the other only when a consumer asks for it: a copy between two files never passes
//! a channel.

use std::fmt;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use cask_image::{Algorithm, Descriptor, Digest, Hasher};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use tokio::sync::mpsc;

use crate::{Error, ErrorKind, Result, blocking};

/// How many bytes at a time move between threads: 256 KiB.
pub const CHUNK_BYTES: usize = 256 << 10;

/// How many chunks may wait between the thread that reads and the task that consumes.
const CHUNKS_AHEAD: usize = 4;

/// The bytes of a blob that nobody has checked yet.
///
/// Only [`VerifiedSource`](crate::VerifiedSource) can look inside.
pub struct UnverifiedBlob(pub(crate) Bytestream);

pub(crate) enum Bytestream {
    Read(Box<dyn Read + Send>),
    Stream(BoxStream<'static, Result<Bytes>>),
}

impl UnverifiedBlob {
    /// Hands over a synchronous reader, such as a file.
    pub fn from_read(read: impl Read + Send + 'static) -> Self {
        Self(Bytestream::Read(Box::new(read)))
    }

    /// Hands over an asynchronous stream, such as the body of a response.
    pub fn from_stream(stream: BoxStream<'static, Result<Bytes>>) -> Self {
        Self(Bytestream::Stream(stream))
    }
}

impl fmt::Debug for UnverifiedBlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnverifiedBlob")
    }
}

/// The digest and the size of bytes that were read to their end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Measured {
    /// The digest.
    pub digest: Digest,
    /// The number of bytes.
    pub size: u64,
}

impl From<&Descriptor> for Measured {
    fn from(descriptor: &Descriptor) -> Self {
        Self { digest: descriptor.digest.clone(), size: descriptor.size }
    }
}

/// Is told how many more bytes were read, and says whether to go on.
pub type Watch = dyn Fn(u64) -> ControlFlow<()> + Send + Sync;

/// Compares what passes by with what was promised.
struct Check {
    hasher: Option<Hasher>,
    expected: Option<Measured>,
    measured: Option<Measured>,
    passed: u64,
    /// Told of every chunk; says whether to go on.
    watch: Option<Arc<Watch>>,
}

impl Check {
    fn pass(&mut self, chunk: &[u8]) -> Result<()> {
        self.passed += chunk.len() as u64;
        if let Some(expected) = &self.expected
            && self.passed > expected.size
        {
            return Err(size_mismatch(expected, &format!("at least {}", self.passed)));
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(chunk);
        }
        if let Some(watch) = &self.watch
            && watch(chunk.len() as u64).is_break()
        {
            return Err(Error::new(ErrorKind::Cancelled, "reading blob", "")
                .with_detail("the operation was given up"));
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        let size = self.passed;
        if let Some(expected) = &self.expected
            && size != expected.size
        {
            return Err(size_mismatch(expected, &size.to_string()));
        }
        let digest = hasher.finish();
        if let Some(expected) = &self.expected
            && digest != expected.digest
        {
            return Err(Error::new(ErrorKind::DigestMismatch, "reading blob", &expected.digest)
                .with_detail(format!(
                    "Digest did not match, expected {}, got {digest}",
                    expected.digest
                )));
        }
        self.measured = Some(Measured { digest, size });
        Ok(())
    }
}

fn size_mismatch(expected: &Measured, got: &str) -> Error {
    Error::new(ErrorKind::SizeMismatch, "reading blob", &expected.digest).with_detail(format!(
        "Size mismatch when copying {}, expected {}, got {got}",
        expected.digest, expected.size
    ))
}

/// The bytes of a blob. Fails at its end unless digest and size are what was promised.
pub struct BlobReader {
    bytes: Bytestream,
    check: Check,
    /// Passed the check and was not given away yet.
    pending: Bytes,
}

impl BlobReader {
    pub(crate) fn verified(blob: UnverifiedBlob, expected: Measured, prefix: Hasher) -> Self {
        let check = Check {
            passed: prefix.len(),
            hasher: Some(prefix),
            expected: Some(expected),
            measured: None,
            watch: None,
        };
        Self { bytes: blob.0, check, pending: Bytes::new() }
    }

    /// Wraps bytes that are made on the way, such as a layer that is being compressed. Their
    /// digest is computed.
    pub fn measured(read: impl Read + Send + 'static, algorithm: Algorithm) -> Self {
        let check = Check {
            passed: 0,
            hasher: Some(Hasher::new(algorithm)),
            expected: None,
            measured: None,
            watch: None,
        };
        Self { bytes: Bytestream::Read(Box::new(read)), check, pending: Bytes::new() }
    }

    /// Has a function told of how many bytes were read, chunk by chunk. When it breaks, reading
    /// fails with `Cancelled`.
    #[must_use]
    pub fn watched(mut self, watch: Arc<Watch>) -> Self {
        self.check.watch = Some(watch);
        self
    }

    /// The next chunk; `None` at the end, after everything was found to match.
    ///
    /// # Errors
    /// `DigestMismatch`, `SizeMismatch`, and those of the place. Not to be called again after one.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        if !self.pending.is_empty() {
            return Ok(Some(std::mem::take(&mut self.pending)));
        }
        match self.bytes.as_stream().next().await {
            Some(chunk) => {
                let chunk = chunk?;
                self.check.pass(&chunk)?;
                Ok(Some(chunk))
            }
            None => self.check.end().map(|()| None),
        }
    }

    /// Reads to the end and gives away nothing but digest and size.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn drain(self) -> Result<Measured> {
        match self.bytes {
            Bytestream::Read(_) => blocking(move || self.into_read().finish()).await,
            Bytestream::Stream(_) => {
                let mut this = self;
                while this.next().await?.is_some() {}
                Ok(this.check.measured.expect("the end was reached without an error"))
            }
        }
    }

    /// Reads everything into memory; for what is known to be small.
    ///
    /// # Errors
    /// As [`next`](Self::next), and `LimitExceeded` beyond `limit` bytes.
    pub async fn read_all(mut self, limit: u64) -> Result<Bytes> {
        let mut all = BytesMut::new();
        while let Some(chunk) = self.next().await? {
            if all.len() as u64 + chunk.len() as u64 > limit {
                return Err(Error::new(ErrorKind::LimitExceeded, "reading blob", "")
                    .with_detail(format!("exceeded maximum allowed size of {limit} bytes")));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }

    /// Drops the first bytes, which still count for the digest.
    ///
    /// # Errors
    /// As [`next`](Self::next), and `SizeMismatch` if the blob is shorter.
    pub(crate) async fn skip(&mut self, bytes: u64) -> Result<()> {
        let mut left = bytes;
        while left > 0 {
            let Some(mut chunk) = self.next().await? else {
                return Err(Error::new(ErrorKind::SizeMismatch, "reading blob", "")
                    .with_detail(format!("it ends before offset {bytes}")));
            };
            let skipped = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            left -= skipped as u64;
            self.pending = chunk.split_off(skipped);
        }
        Ok(())
    }

    /// Turns the reader into a synchronous one, for work on a blocking thread.
    ///
    /// # Panics
    /// If the bytes come asynchronously and this is not called within a tokio runtime.
    pub fn into_read(self) -> BlobRead {
        let source = match self.bytes {
            Bytestream::Read(read) => SyncSource::Read(read),
            Bytestream::Stream(stream) => {
                SyncSource::Stream { stream, runtime: tokio::runtime::Handle::current() }
            }
        };
        BlobRead { source, check: self.check, pending: self.pending }
    }
}

impl fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobReader")
            .field("expected", &self.check.expected)
            .field("passed", &self.check.passed)
            .finish_non_exhaustive()
    }
}

impl Bytestream {
    /// The bytes as a stream; a synchronous reader moves to a blocking thread first.
    fn as_stream(&mut self) -> &mut BoxStream<'static, Result<Bytes>> {
        if matches!(self, Self::Read(_)) {
            let empty = Self::Stream(futures_util::stream::empty().boxed());
            if let Self::Read(read) = std::mem::replace(self, empty) {
                *self = Self::Stream(pump(read));
            }
        }
        match self {
            Self::Stream(stream) => stream,
            Self::Read(_) => unreachable!("a reader was replaced by a stream above"),
        }
    }
}

/// Reads on a blocking thread, a few chunks ahead.
fn pump(mut read: Box<dyn Read + Send>) -> BoxStream<'static, Result<Bytes>> {
    let (sender, receiver) = mpsc::channel::<Result<Bytes>>(CHUNKS_AHEAD);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            let read_bytes = match read_full(&mut read, &mut chunk) {
                Ok(bytes) => bytes,
                Err(error) => {
                    // Nobody listens any more: nobody wants the error either.
                    let _ = sender.blocking_send(Err(Error::from_io(error, "reading blob", "")));
                    return;
                }
            };
            chunk.truncate(read_bytes);
            if read_bytes == 0 || sender.blocking_send(Ok(chunk.into())).is_err() {
                return;
            }
        }
    });
    futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    })
    .boxed()
}

/// Fills the buffer as far as the reader goes.
fn read_full(read: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match read.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(bytes) => filled += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The bytes of a blob for synchronous work, on a thread that may block.
///
/// Its [`Read`] fails at the end unless digest and size are what was promised; the error inside
/// is an [`Error`], which [`Error::from_io`] takes out again.
pub struct BlobRead {
    source: SyncSource,
    check: Check,
    pending: Bytes,
}

enum SyncSource {
    Read(Box<dyn Read + Send>),
    Stream { stream: BoxStream<'static, Result<Bytes>>, runtime: tokio::runtime::Handle },
}

impl BlobRead {
    /// Reads what is left and gives digest and size of everything.
    ///
    /// # Errors
    /// As [`BlobReader::next`].
    pub fn finish(mut self) -> Result<Measured> {
        let mut rest = [0; 1];
        if self.check.measured.is_none() && read_full(&mut self, &mut rest).map_err(unwrap_io)? > 0
        {
            let mut rest = vec![0; CHUNK_BYTES];
            while self.read(&mut rest).map_err(unwrap_io)? > 0 {}
        }
        Ok(self.check.measured.expect("the end was reached without an error"))
    }

    /// Writes everything to `target`, chunk by chunk, and gives digest and size.
    ///
    /// # Errors
    /// As [`BlobReader::next`]; what the target says is wrapped by `failed`.
    pub fn copy_to(
        mut self,
        target: &mut dyn io::Write,
        failed: impl Fn(io::Error) -> Error,
    ) -> Result<Measured> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let bytes = self.read(&mut chunk).map_err(unwrap_io)?;
            if bytes == 0 {
                break;
            }
            target.write_all(&chunk[..bytes]).map_err(&failed)?;
        }
        self.finish()
    }
}

fn unwrap_io(error: io::Error) -> Error {
    Error::from_io(error, "reading blob", "")
}

impl Read for BlobRead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if !self.pending.is_empty() {
            let bytes = self.pending.len().min(buffer.len());
            buffer[..bytes].copy_from_slice(&self.pending.split_to(bytes));
            return Ok(bytes);
        }
        match &mut self.source {
            SyncSource::Read(read) => {
                let bytes = loop {
                    match read.read(buffer) {
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        result => break result?,
                    }
                };
                if bytes == 0 {
                    self.check.end()?;
                } else {
                    self.check.pass(&buffer[..bytes])?;
                }
                Ok(bytes)
            }
            SyncSource::Stream { stream, runtime } => loop {
                let Some(chunk) = runtime.block_on(stream.next()) else {
                    self.check.end()?;
                    return Ok(0);
                };
                let chunk = chunk?;
                self.check.pass(&chunk)?;
                if !chunk.is_empty() {
                    self.pending = chunk;
                    return self.read(buffer);
                }
            },
        }
    }
}

impl fmt::Debug for BlobRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobRead")
            .field("expected", &self.check.expected)
            .field("passed", &self.check.passed)
            .finish_non_exhaustive()
    }
}
