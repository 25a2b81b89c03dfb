//! The writer around the encoders.

use std::fmt;
use std::io::{self, Write};
use std::num::NonZeroUsize;

use super::Level;
use super::gzip::GzipWriter;
use super::zstd::ZstdWriter;
use crate::compression::Compression;
use crate::{Error, Operation};

/// Compresses what is written to the result, on `threads` threads, into `writer`.
///
/// See [`CompressWriter`] for the promises. Nothing is written before the first write to the
/// result, or [`finish`](CompressWriter::finish).
///
/// # Errors
/// [`InvalidLevel`](crate::ErrorKind::InvalidLevel) and
/// [`Unsupported`](crate::ErrorKind::Unsupported) as [`Level::number`];
/// [`OutOfMemory`](crate::ErrorKind::OutOfMemory).
///
/// ```
/// use std::io::Write;
/// use std::num::NonZeroUsize;
/// use cask_layer::{Compression, Level, compress};
///
/// let threads = NonZeroUsize::new(2).unwrap();
/// let mut writer = compress(Vec::new(), Compression::Gzip, Level::Default, threads)?;
/// writer.write_all(b"some layer")?;
/// let blob = writer.finish()?;
/// assert_eq!(Compression::detect(&blob), Compression::Gzip);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn compress<W: Write>(
    writer: W,
    compression: Compression,
    level: Level,
    threads: NonZeroUsize,
) -> Result<CompressWriter<W>, Error> {
    let level = level.number(compression)?;
    let encoder = match compression {
        Compression::Gzip => Encoder::Gzip(GzipWriter::new(writer, level, threads)),
        Compression::Zstd => Encoder::Zstd(ZstdWriter::new(writer, level, threads)?),
        // `number` has refused those that are read only.
        Compression::None | Compression::Xz | Compression::Bzip2 => Encoder::Stored(writer),
    };
    Ok(CompressWriter { compression, encoder, failed: None })
}

/// Compresses what is written to it; made by [`compress`].
///
/// - **The bytes depend on the data, the compression and the level alone**: not on the number of
///   threads, the sizes of the writes, flushes, the time or the machine. (They may change with
///   the version of the compression library; a test of this crate notices.)
/// - gzip is one member with Go's header: no name, no time, OS "unknown". It is cut in blocks of
///   256 KiB, each compressed without a view of those before it, which costs less than 1 % of size. zstd is one frame with a checksum, of unknown content size, with a window of
///   at most 8 MiB, which every decoder accepts.
/// - With one thread gzip compresses in [`write`](Write::write) itself; with more, and for zstd
///   always, that many threads are started as data arrives. They end with the writer.
/// - [`finish`](Self::finish) ends the stream. A writer that is dropped leaves a stream without
///   its end, which every reader refuses.
/// - [`flush`](Write::flush) hands on what has become ready, and no more: ending a block early
///   would make the output depend on it.
/// - After an error every further call fails. Compressed data may then be missing below: start
///   again.
///
/// Memory, at most: gzip 3 MiB for each thread; zstd at level 3 10 MiB with one thread and 5 MiB
/// for each further one. The crate's page has the other levels.
///
/// # Errors
/// Those of the writer below, untouched.
pub struct CompressWriter<W: Write> {
    compression: Compression,
    encoder: Encoder<W>,
    failed: Option<io::ErrorKind>,
}

enum Encoder<W: Write> {
    Stored(W),
    Gzip(GzipWriter<W>),
    Zstd(ZstdWriter<W>),
}

impl<W: Write> CompressWriter<W> {
    /// The compression that is done.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Borrows the inner writer, which lags behind what was written.
    pub fn inner(&self) -> &W {
        match &self.encoder {
            Encoder::Stored(writer) => writer,
            Encoder::Gzip(encoder) => encoder.inner(),
            Encoder::Zstd(encoder) => encoder.inner(),
        }
    }

    /// Ends the stream, waits for all threads, and gives the inner writer back, not flushed.
    ///
    /// If nothing was written, this makes a valid stream of no bytes.
    ///
    /// # Errors
    /// Those of writing, also one that an earlier call has returned.
    pub fn finish(self) -> io::Result<W> {
        self.check()?;
        match self.encoder {
            Encoder::Stored(writer) => Ok(writer),
            Encoder::Gzip(encoder) => encoder.finish(),
            Encoder::Zstd(encoder) => encoder.finish(),
        }
    }

    fn check(&self) -> io::Result<()> {
        match self.failed {
            None => Ok(()),
            Some(kind) => {
                let detail = "an earlier write of compressed data failed";
                Err(Error::again(Operation::Compress, kind, detail).into())
            }
        }
    }
}

impl<W: Write> Write for CompressWriter<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.check()?;
        let result = match &mut self.encoder {
            Encoder::Stored(writer) => return writer.write(data),
            // The encoders never see an empty write: zstd would take it for a beginning.
            _ if data.is_empty() => return Ok(0),
            Encoder::Gzip(encoder) => encoder.write(data),
            Encoder::Zstd(encoder) => encoder.write(data),
        };
        match result {
            Ok(()) => Ok(data.len()),
            Err(error) => {
                self.failed = Some(error.kind());
                Err(error)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.check()?;
        let result = match &mut self.encoder {
            Encoder::Stored(writer) => return writer.flush(),
            Encoder::Gzip(encoder) => encoder.flush(),
            Encoder::Zstd(encoder) => encoder.flush(),
        };
        if let Err(error) = &result {
            self.failed = Some(error.kind());
        }
        result
    }
}

impl<W: Write> fmt::Debug for CompressWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompressWriter")
            .field("compression", &self.compression)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
