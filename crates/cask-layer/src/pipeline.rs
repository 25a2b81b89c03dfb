//! Reading ahead on another thread.

use std::fmt;
use std::io::{self, BufRead, Read};
use std::panic;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread::{self, JoinHandle};

use crate::{Error, Operation};

/// How many bytes one buffer holds.
const BUFFER_BYTES: usize = 256 * 1024;

/// How many buffers there are: one being filled, one being emptied, two between.
pub(crate) const BUFFERS: usize = 4;

/// Reads `reader` ahead on a thread of its own.
///
/// Put between two steps of a chain, it lets them run on different cores: what is below reads,
/// hashes or decompresses, what is above consumes. See [`PipelinedReader`] for the promises.
///
/// # Errors
/// That of starting a thread; `reader` is dropped then.
///
/// ```
/// use std::io::Read;
/// use cask_layer::{Compression, DecompressLimits, decompress, pipelined};
///
/// # let file = &b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x4b\x4c\x4a\x06\0\xc2\x41\x24\x35\x03\0\0\0"[..];
/// // Reading (and hashing) on one thread, decompressing on a second, the rest on this one.
/// let compressed = pipelined(file)?;
/// let mut plain =
///     pipelined(decompress(compressed, Compression::Gzip, DecompressLimits::default()))?;
/// let mut text = String::new();
/// plain.read_to_string(&mut text)?;
/// assert_eq!(text, "abc");
///
/// // And back to the file, which has been read to its end.
/// let file = plain.finish()?.finish()?.finish()?;
/// assert!(file.is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn pipelined<R: Read + Send + 'static>(reader: R) -> io::Result<PipelinedReader<R>> {
    let (filled_sender, filled) = mpsc::sync_channel(BUFFERS);
    let (empty, empty_receiver) = mpsc::channel();
    let thread = thread::Builder::new()
        .name("cask-pipeline".into())
        .spawn(move || read_ahead(reader, &filled_sender, &empty_receiver))?;
    Ok(PipelinedReader {
        state: State::Running { thread, filled, empty },
        buffer: Vec::new(),
        position: 0,
    })
}

/// What [`pipelined`] reads ahead: the same bytes, and the same errors after the bytes that came
/// before them.
///
/// - Memory: up to four buffers of 256 KiB, passed back and forth.
/// - A panic of the reader below continues on the thread that reads from this.
/// - After an error of the reader below, every later read fails with an error of the same kind.
/// - Dropped before the end, it does not wait: the thread drops the reader below and ends as soon
///   as the read it may be in returns. To wait, use [`finish`](Self::finish).
pub struct PipelinedReader<R> {
    state: State<R>,
    buffer: Vec<u8>,
    position: usize,
}

enum State<R> {
    Running { thread: JoinHandle<R>, filled: Receiver<io::Result<Vec<u8>>>, empty: Sender<Vec<u8>> },
    Ended(R),
    Failed(io::ErrorKind),
}

impl<R> PipelinedReader<R> {
    /// Reads what is left, throws it away, waits for the thread, and gives the reader below back.
    ///
    /// That reader has then returned `Ok(0)`.
    ///
    /// # Errors
    /// Those of the reader below, also one that an earlier read has returned.
    pub fn finish(mut self) -> io::Result<R> {
        loop {
            self.position = self.buffer.len();
            if self.fill_buf()?.is_empty() {
                break;
            }
        }
        match self.state {
            State::Ended(reader) => Ok(reader),
            // An empty buffer means that the end was reached.
            State::Running { .. } => Err(failed(io::ErrorKind::Other)),
            State::Failed(kind) => Err(failed(kind)),
        }
    }

    /// Takes the next filled buffer, or notices the end.
    fn next_buffer(&mut self) -> io::Result<()> {
        let State::Running { filled, empty, .. } = &self.state else { return Ok(()) };
        match filled.recv() {
            Ok(Ok(buffer)) => {
                let used = std::mem::replace(&mut self.buffer, buffer);
                self.position = 0;
                if used.capacity() > 0 {
                    // The thread may have read the end already.
                    let _ = empty.send(used);
                }
                Ok(())
            }
            Ok(Err(error)) => {
                self.clear(State::Failed(error.kind()));
                Err(error)
            }
            Err(mpsc::RecvError) => {
                let kind = io::ErrorKind::Other;
                match self.clear(State::Failed(kind)) {
                    State::Running { thread, .. } => match thread.join() {
                        Ok(reader) => self.state = State::Ended(reader),
                        Err(payload) => panic::resume_unwind(payload),
                    },
                    other => self.state = other,
                }
                Ok(())
            }
        }
    }

    fn clear(&mut self, state: State<R>) -> State<R> {
        self.buffer = Vec::new();
        self.position = 0;
        std::mem::replace(&mut self.state, state)
    }
}

impl<R> BufRead for PipelinedReader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.position == self.buffer.len() {
            if let State::Failed(kind) = self.state {
                return Err(failed(kind));
            }
            self.next_buffer()?;
        }
        Ok(&self.buffer[self.position..])
    }

    fn consume(&mut self, count: usize) {
        self.position = (self.position + count).min(self.buffer.len());
    }
}

impl<R> Read for PipelinedReader<R> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        if output.is_empty() {
            return Ok(0);
        }
        let available = self.fill_buf()?;
        let count = available.len().min(output.len());
        output[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<R> fmt::Debug for PipelinedReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Running { .. } => "running",
            State::Ended(_) => "ended",
            State::Failed(_) => "failed",
        };
        f.debug_struct("PipelinedReader").field("state", &state).finish_non_exhaustive()
    }
}

fn failed(kind: io::ErrorKind) -> io::Error {
    Error::again(Operation::Transfer, kind, "an earlier read ahead failed").into()
}

/// The thread: fills buffers until the end, an error, or until nobody wants more.
fn read_ahead<R: Read>(
    mut reader: R,
    filled: &SyncSender<io::Result<Vec<u8>>>,
    empty: &Receiver<Vec<u8>>,
) -> R {
    let mut allocated = 0;
    loop {
        let mut buffer = match empty.try_recv() {
            Ok(buffer) => buffer,
            Err(mpsc::TryRecvError::Empty) if allocated < BUFFERS => {
                allocated += 1;
                Vec::new()
            }
            Err(mpsc::TryRecvError::Empty) => match empty.recv() {
                Ok(buffer) => buffer,
                Err(mpsc::RecvError) => return reader,
            },
            Err(mpsc::TryRecvError::Disconnected) => return reader,
        };
        let outcome = fill(&mut reader, &mut buffer);
        if !buffer.is_empty() && filled.send(Ok(buffer)).is_err() {
            return reader;
        }
        match outcome {
            Ok(true) => {}
            Ok(false) => return reader,
            Err(error) => {
                // If nobody wants it, nobody misses it.
                let _ = filled.send(Err(error));
                return reader;
            }
        }
    }
}

/// Fills a buffer from a reader; says whether there may be more.
pub(crate) fn fill<R: Read + ?Sized>(reader: &mut R, buffer: &mut Vec<u8>) -> io::Result<bool> {
    buffer.resize(BUFFER_BYTES, 0);
    let mut len = 0;
    let mut outcome = Ok(true);
    while len < buffer.len() {
        match reader.read(&mut buffer[len..]) {
            Ok(0) => {
                outcome = Ok(false);
                break;
            }
            Ok(count) => len += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
    }
    buffer.truncate(len);
    outcome
}
