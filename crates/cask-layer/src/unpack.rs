//! A layer in one pass: hashed, decompressed, hashed again and consumed.

use std::error;
use std::fmt;
use std::io::{self, BufRead, Read};
use std::panic;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread::{self, Scope, ScopedJoinHandle};

use cask_image::{Algorithm, Digest, Hasher};

use crate::hash::{Hashed, MeasuredRead, compare};
use crate::pipeline::{BUFFERS, fill};
use crate::{Compression, DecompressLimits, Mismatch, decompress};

/// What [`unpack`] demands of a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnpackOptions {
    /// The digest that the blob must have. Not checked by default.
    pub blob_digest: Option<Digest>,
    /// The size in bytes that the blob must have; reading stops at the first byte too many. Not
    /// checked by default.
    pub blob_size_bytes: Option<u64>,
    /// The digest that the uncompressed stream must have: the DiffID. Not checked by default.
    pub diff_digest: Option<Digest>,
    /// What decompressing may cost.
    pub limits: DecompressLimits,
}

/// What [`unpack`] found out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unpacked<T> {
    /// What the consumer returned.
    pub value: T,
    /// The compression, found by content.
    pub compression: Compression,
    /// The digest of the blob as it came. SHA-256, unless another was expected.
    pub blob_digest: Digest,
    /// The size of the blob as it came, in bytes.
    pub blob_size_bytes: u64,
    /// The digest of the uncompressed stream: the DiffID. SHA-256, unless another was expected.
    pub diff_digest: Digest,
    /// The size of the uncompressed stream in bytes.
    pub diff_size_bytes: u64,
}

/// Why [`unpack`] failed: the first cause, whichever step noticed it first.
#[derive(Debug)]
#[non_exhaustive]
pub enum UnpackError<E> {
    /// The blob could not be read or decompressed; [`crate::Error::of`] tells the latter.
    Stream(Arc<io::Error>),
    /// The consumer failed, and not because of the stream.
    Consumer(E),
    /// The blob is not the one that was asked for.
    Blob(Mismatch),
    /// The uncompressed stream is not the one that was promised.
    Diff(Mismatch),
}

impl<E> UnpackError<E> {
    fn stream(error: Arc<io::Error>) -> Self {
        match Mismatch::of(&error) {
            Some(mismatch) => Self::Blob(mismatch.clone()),
            None => Self::Stream(error),
        }
    }
}

impl<E> fmt::Display for UnpackError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stream(_) => "cannot read the layer",
            Self::Consumer(_) => "cannot process the layer",
            Self::Blob(_) => "the layer's blob is not the expected one",
            Self::Diff(_) => "the uncompressed layer is not the expected one",
        })
    }
}

impl<E: error::Error + 'static> error::Error for UnpackError<E> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(match self {
            Self::Stream(error) => &**error,
            Self::Consumer(error) => error,
            Self::Blob(mismatch) | Self::Diff(mismatch) => mismatch,
        })
    }
}

/// Reads the blob of a layer once: hashes it, decompresses it, hashes the result and gives that to
/// `consumer`, all at the same time.
///
/// Reading and hashing the blob is done on one thread, decompressing on a second, hashing the
/// stream on a third, and `consumer` runs on the caller's. Buffers of 256 KiB are handed from one to
/// the next, never copied; a blob that is not compressed is hashed once and not copied at all.
///
/// `consumer` may stop early; the rest is read and checked. It must not take what it reads for
/// good before this function returns: digests are known at the end.
///
/// No thread is left when it returns. A `consumer` that fails makes it return as soon as the read
/// of `blob` that may be under way does.
///
/// Memory: 2.5 MiB, and what decompressing needs.
///
/// ```
/// use std::io::Read;
/// use cask_layer::{Compression, UnpackOptions, unpack};
///
/// # let blob = &b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x4b\x4c\x4a\x06\0\xc2\x41\x24\x35\x03\0\0\0"[..];
/// let layer = unpack(blob, &UnpackOptions::default(), |stream| {
///     let mut text = String::new();
///     stream.read_to_string(&mut text).map(|_| text)
/// })?;
/// assert_eq!(layer.value, "abc");
/// assert_eq!(layer.compression, Compression::Gzip);
/// assert_eq!(layer.diff_size_bytes, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`UnpackError`], with the first cause: a consumer that fails because its stream fails is not
/// blamed.
///
/// # Panics
/// If `blob` or `consumer` panics.
pub fn unpack<B, T, E>(
    blob: B,
    options: &UnpackOptions,
    consumer: impl FnOnce(&mut dyn BufRead) -> Result<T, E>,
) -> Result<Unpacked<T>, UnpackError<E>>
where
    B: Read + Send,
{
    let algorithm = options.blob_digest.as_ref().map_or(Algorithm::Sha256, Digest::algorithm);
    unpack_measured(Hashed::new(blob, algorithm, options.blob_size_bytes), options, consumer)
}

/// As [`unpack`], of a blob that is hashed where it is read: that is not done once more, and what
/// [`MeasuredRead::measured`] says at its end is compared with what is demanded.
///
/// # Errors
/// As [`unpack`]; a blob that does not say what it is has failed. That it is too long shows at its
/// end only, unless it stops by itself.
///
/// # Panics
/// As [`unpack`].
pub fn unpack_measured<B, T, E>(
    blob: B,
    options: &UnpackOptions,
    consumer: impl FnOnce(&mut dyn BufRead) -> Result<T, E>,
) -> Result<Unpacked<T>, UnpackError<E>>
where
    B: MeasuredRead + Send,
{
    let blob_algorithm = blob.algorithm();
    let diff_algorithm = options.diff_digest.as_ref().map_or(Algorithm::Sha256, Digest::algorithm);
    thread::scope(|scope| {
        let first = ahead(scope, "cask-layer-read", BUFFERS, blob, |blob: B| blob.measured())?;
        let (mut stream, first) = (first.stream, first.handle);
        let compression = match stream.fill_buf() {
            Ok(bytes) => Compression::detect(bytes),
            Err(error) => return Err(stream.failure(error)),
        };
        let mut limit = options.limits.max_output_bytes;
        if compression != Compression::None {
            limit = u64::MAX;
            let reader = decompress(stream, compression, options.limits);
            // One being hashed and one waiting for that.
            stream = ahead(scope, "cask-layer-decompress", BUFFERS + 2, reader, drop)?.stream;
        }
        let mut second = None;
        if compression != Compression::None || blob_algorithm != diff_algorithm {
            let stage = hashing(scope, stream, diff_algorithm)?;
            stream = stage.stream;
            second = Some(stage.handle);
        }
        let mut stream = Limited { stream, left: limit, limit };
        let value = consume(&mut stream, consumer)?;
        drop(stream);
        let diff = second.map(joined);
        let (blob_digest, blob_size_bytes) = joined(first).ok_or_else(|| {
            let error = io::Error::other("the stream does not say which digest it has");
            UnpackError::Stream(Arc::new(error))
        })?;
        compare(
            (&blob_digest, blob_size_bytes),
            options.blob_digest.as_ref(),
            options.blob_size_bytes,
        )
        .map_err(UnpackError::Blob)?;
        let (diff_digest, diff_size_bytes) =
            diff.unwrap_or_else(|| (blob_digest.clone(), blob_size_bytes));
        compare((&diff_digest, diff_size_bytes), options.diff_digest.as_ref(), None)
            .map_err(UnpackError::Diff)?;
        Ok(Unpacked {
            value,
            compression,
            blob_digest,
            blob_size_bytes,
            diff_digest,
            diff_size_bytes,
        })
    })
}

/// Lets the consumer have the stream, and reads what it leaves.
fn consume<T, E>(
    stream: &mut Limited,
    consumer: impl FnOnce(&mut dyn BufRead) -> Result<T, E>,
) -> Result<T, UnpackError<E>> {
    let value = match (consumer(stream), stream.stream.failure.take()) {
        (_, Some(failure)) => return Err(UnpackError::stream(failure)),
        (Err(error), None) => return Err(UnpackError::Consumer(error)),
        (Ok(value), None) => value,
    };
    loop {
        match stream.fill_buf() {
            Ok([]) => return Ok(value),
            Ok(bytes) => {
                let count = bytes.len();
                stream.consume(count);
            }
            Err(error) => return Err(stream.stream.failure(error)),
        }
    }
}

/// What one thread hands to the next.
enum Message {
    Bytes(Vec<u8>),
    End,
    Failed(io::Error),
}

/// The receiving end of a thread that reads ahead.
struct Ahead {
    filled: Receiver<Message>,
    empty: Sender<Vec<u8>>,
    buffer: Vec<u8>,
    position: usize,
    ended: bool,
    /// What the consumer was told of, and how often it asks again.
    failure: Option<Arc<io::Error>>,
}

/// A thread, the stream that it gives, and what it ends with.
struct Stage<'scope, T> {
    stream: Ahead,
    handle: ScopedJoinHandle<'scope, T>,
}

/// Reads ahead on a thread of its own, at most so many buffers, and ends with what `finish` makes
/// of the reader.
fn ahead<'scope, 'env: 'scope, R, T, E>(
    scope: &'scope Scope<'scope, 'env>,
    name: &str,
    buffers: usize,
    mut reader: R,
    finish: impl FnOnce(R) -> T + Send + 'scope,
) -> Result<Stage<'scope, T>, UnpackError<E>>
where
    R: Read + Send + 'scope,
    T: Send + 'scope,
{
    let (filled_sender, filled) = mpsc::sync_channel(buffers);
    let (empty, empty_receiver) = mpsc::channel();
    let handle = spawn(scope, name, move || {
        read_ahead(&mut reader, buffers, &filled_sender, &empty_receiver);
        // The next thread must not wait for the digest.
        drop(filled_sender);
        finish(reader)
    })?;
    Ok(Stage { stream: Ahead::new(filled, empty), handle })
}

/// Hashes a stream on a thread of its own: its buffers are handed on as they are. Ends with digest
/// and size.
fn hashing<'scope, 'env: 'scope, E>(
    scope: &'scope Scope<'scope, 'env>,
    stream: Ahead,
    algorithm: Algorithm,
) -> Result<Stage<'scope, (Digest, u64)>, UnpackError<E>> {
    let Ahead { filled: incoming, empty, buffer, ended, .. } = stream;
    let (outgoing, filled) = mpsc::sync_channel(BUFFERS);
    let handle = spawn(scope, "cask-layer-hash", move || {
        let mut hasher = Hasher::new(algorithm);
        // What was looked at to find the compression comes before the rest.
        let looked_at = match buffer.is_empty() {
            false => Some(Message::Bytes(buffer)),
            true => ended.then_some(Message::End),
        };
        for message in looked_at.into_iter().chain(incoming) {
            if let Message::Bytes(bytes) = &message {
                hasher.update(bytes);
            }
            if outgoing.send(message).is_err() {
                break;
            }
        }
        drop(outgoing);
        let size_bytes = hasher.len();
        (hasher.finish(), size_bytes)
    })?;
    Ok(Stage { stream: Ahead::new(filled, empty), handle })
}

/// A thread of this name.
fn spawn<'scope, 'env: 'scope, T: Send + 'scope, E>(
    scope: &'scope Scope<'scope, 'env>,
    name: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, UnpackError<E>> {
    let handle = thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, work);
    handle.map_err(|error| UnpackError::Stream(Arc::new(error)))
}

/// The thread: fills buffers until the end, an error, or until nobody wants more.
fn read_ahead(
    reader: &mut impl Read,
    buffers: usize,
    filled: &SyncSender<Message>,
    empty: &Receiver<Vec<u8>>,
) {
    let mut allocated = 0;
    loop {
        let mut buffer = Vec::new();
        match empty.try_recv() {
            Ok(used) => buffer = used,
            Err(mpsc::TryRecvError::Empty) if allocated < buffers => allocated += 1,
            Err(mpsc::TryRecvError::Empty) => match empty.recv() {
                Ok(used) => buffer = used,
                Err(mpsc::RecvError) => return,
            },
            Err(mpsc::TryRecvError::Disconnected) => return,
        }
        let outcome = fill(reader, &mut buffer);
        if !buffer.is_empty() && filled.send(Message::Bytes(buffer)).is_err() {
            return;
        }
        // If nobody wants to hear of the end, nobody misses it.
        let _ = match outcome {
            Ok(true) => continue,
            Ok(false) => filled.send(Message::End),
            Err(error) => filled.send(Message::Failed(error)),
        };
        return;
    }
}

/// What a thread ends with.
fn joined<T>(handle: ScopedJoinHandle<'_, T>) -> T {
    handle.join().unwrap_or_else(|payload| panic::resume_unwind(payload))
}

impl Ahead {
    fn new(filled: Receiver<Message>, empty: Sender<Vec<u8>>) -> Self {
        Self { filled, empty, buffer: Vec::new(), position: 0, ended: false, failure: None }
    }

    /// The error that this stream gave, or else the given one.
    fn failure<E>(&mut self, error: io::Error) -> UnpackError<E> {
        UnpackError::stream(self.failure.take().unwrap_or_else(|| Arc::new(error)))
    }

    fn next_buffer(&mut self) -> io::Result<()> {
        let message = self.filled.recv();
        let used = std::mem::take(&mut self.buffer);
        self.position = 0;
        match message {
            Ok(Message::Bytes(buffer)) => {
                self.buffer = buffer;
                if used.capacity() > 0 {
                    // The thread may have read the end already.
                    let _ = self.empty.send(used);
                }
                Ok(())
            }
            Ok(Message::End) => {
                self.ended = true;
                Ok(())
            }
            Ok(Message::Failed(error)) => {
                let error = Arc::new(error);
                self.failure = Some(Arc::clone(&error));
                Err(shared(&error))
            }
            // The thread has panicked; joining it tells.
            Err(mpsc::RecvError) => {
                let error = Arc::new(io::Error::other("reading ahead has stopped"));
                self.failure = Some(Arc::clone(&error));
                Err(shared(&error))
            }
        }
    }
}

/// The same error once more.
fn shared(error: &Arc<io::Error>) -> io::Error {
    io::Error::new(error.kind(), Shared(Arc::clone(error)))
}

/// An error that has two owners.
#[derive(Debug)]
struct Shared(Arc<io::Error>);

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl error::Error for Shared {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        // Its text is this one's; what an `io::Error` wraps is found below it.
        self.0.get_ref().map(|inner| inner as _)
    }
}

impl BufRead for Ahead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.position == self.buffer.len() && !self.ended {
            if let Some(failure) = &self.failure {
                return Err(shared(failure));
            }
            self.next_buffer()?;
        }
        Ok(&self.buffer[self.position..])
    }

    fn consume(&mut self, count: usize) {
        self.position = (self.position + count).min(self.buffer.len());
    }
}

impl Read for Ahead {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, output)
    }
}

/// What the consumer sees: no more than the limit for streams that nothing else limits.
struct Limited {
    stream: Ahead,
    left: u64,
    limit: u64,
}

impl BufRead for Limited {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let bytes = self.stream.fill_buf()?.len();
        if bytes as u64 > self.left {
            let limit = crate::Limit::OutputBytes;
            let error: io::Error = crate::Error::plain_limit(limit, self.limit).into();
            let error = Arc::new(error);
            self.stream.failure = Some(Arc::clone(&error));
            return Err(shared(&error));
        }
        self.stream.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.left = self.left.saturating_sub(count as u64);
        self.stream.consume(count);
    }
}

impl Read for Limited {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, output)
    }
}

fn read_buffered(reader: &mut impl BufRead, output: &mut [u8]) -> io::Result<usize> {
    if output.is_empty() {
        return Ok(0);
    }
    let available = reader.fill_buf()?;
    let count = available.len().min(output.len());
    output[..count].copy_from_slice(&available[..count]);
    reader.consume(count);
    Ok(count)
}
