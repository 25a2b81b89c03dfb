//! Compressing on a thread of its own.

use std::io::{self, Read, Write as _};
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};

use cask_layer::{Chunked, Compression, Level, compress, zstd_chunked};
use cask_transport::CHUNK_BYTES;

use super::Described;

/// How many compressed chunks may wait for the writer.
const CHUNKS_AHEAD: usize = 4;

/// Gives the compressed bytes of a plain reader. An error of the plain reader comes after what was
/// compressed before, instead of an end.
///
/// # Errors
/// A level that the compression does not have; starting the thread.
pub(super) fn compressing(
    mut plain: impl Read + Send + 'static,
    compression: Compression,
    level: Level,
    threads: NonZeroUsize,
) -> io::Result<ChannelRead> {
    let (writer, reader) = channel();
    let sender = writer.sender.clone();
    let mut encoder = compress(writer, compression, level, threads)?;
    let work = move || {
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            match plain.read(&mut buffer) {
                Ok(0) => break,
                Ok(bytes) => encoder.write_all(&buffer[..bytes])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        encoder.finish()?.flush()
    };
    start(work, sender)?;
    Ok(reader)
}

/// Gives the bytes of a plain layer as zstd:chunked, and at their end what has to be said of them.
///
/// # Errors
/// As for [`compressing`].
pub(super) fn chunking(
    plain: impl Read + Send + 'static,
    level: Level,
    threads: NonZeroUsize,
    described: Arc<OnceLock<Described>>,
) -> io::Result<ChannelRead> {
    level.number(Compression::Zstd)?;
    let (writer, reader) = channel();
    let sender = writer.sender.clone();
    let work = move || {
        let mut layer = zstd_chunked(plain, writer, level, threads)?;
        layer.writer.flush()?;
        // Doing it again gives the same.
        let Chunked { annotations, unlisted, .. } = layer;
        let _ = described.set(Described { annotations, unlisted });
        Ok(())
    };
    start(work, sender)?;
    Ok(reader)
}

fn channel() -> (ChannelWrite, ChannelRead) {
    let (sender, receiver) = sync_channel(CHUNKS_AHEAD);
    let writer = ChannelWrite { sender, chunk: Vec::with_capacity(CHUNK_BYTES) };
    (writer, ChannelRead { receiver, chunk: Vec::new(), at: 0, ended: false })
}

/// Has the work done on a thread of its own.
fn start(
    work: impl FnOnce() -> io::Result<()> + Send + 'static,
    sender: SyncSender<io::Result<Vec<u8>>>,
) -> io::Result<()> {
    std::thread::Builder::new().name("cask-compress".into()).spawn(move || {
        // A reader that is gone wants neither the end nor the error.
        let _ = sender.send(work().map(|()| Vec::new()));
    })?;
    Ok(())
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

/// What comes out of the thread.
pub(super) struct ChannelRead {
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

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: NonZeroUsize = NonZeroUsize::MIN;

    struct Breaks(usize);

    impl Read for Breaks {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            match self.0 {
                1 => Err(io::ErrorKind::Interrupted.into()),
                2..10 => Ok(buffer.len()),
                _ => Err(io::Error::other("broken")),
            }
        }
    }

    #[test]
    fn an_error_of_the_plain_bytes_is_the_end() {
        for compression in [Compression::Gzip, Compression::Zstd] {
            let mut read = compressing(Breaks(0), compression, Level::Default, ONE).unwrap();
            let error = io::copy(&mut read, &mut io::sink()).unwrap_err();
            assert_eq!(error.to_string(), "broken");
            assert!(read.read(&mut [0; 1]).is_err(), "and there is nothing after it");
        }
    }

    #[test]
    fn nothing_makes_a_whole_stream() {
        let mut bytes = Vec::new();
        let mut read = compressing(io::empty(), Compression::Gzip, Level::Default, ONE).unwrap();
        read.read_to_end(&mut bytes).unwrap();
        assert_eq!(Compression::detect(&bytes), Compression::Gzip);
        assert_eq!(read.read(&mut [0; 1]).unwrap(), 0);
    }

    #[test]
    fn a_reader_that_is_dropped_ends_the_thread() {
        let (sender, receiver) = sync_channel::<()>(1);
        struct Endless {
            noise: Vec<u8>,
            _alive: SyncSender<()>,
        }
        impl Read for Endless {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let bytes = buffer.len().min(self.noise.len());
                buffer[..bytes].copy_from_slice(&self.noise[..bytes]);
                Ok(bytes)
            }
        }
        // Bytes that do not compress, so that the channel fills.
        let noise = cask_testkit::generate::random_bytes(1, CHUNK_BYTES);
        let endless = Endless { noise, _alive: sender };
        drop(compressing(endless, Compression::Gzip, Level::Default, ONE).unwrap());
        // The thread owns the sender: it closes when the thread ends.
        receiver.recv().unwrap_err();
    }

    #[test]
    fn a_level_that_does_not_exist_is_refused() {
        assert!(compressing(io::empty(), Compression::Gzip, Level::Exact(10), ONE).is_err());
    }
}
