//! The reader around the decoders: input buffer, limits, ends and errors, the same for all.

use std::fmt;
use std::io::{self, Read};

use super::codec::{Codec, Fault, Step};
use super::{bzip2, gzip, xz, zstd};
use crate::compression::{Compression, DecompressLimits};
use crate::{Error, ErrorKind, Limit};

/// How many compressed bytes are asked for at once.
const INPUT_BYTES: usize = 64 * 1024;

/// Decompresses what `reader` gives.
///
/// All members of a multi-member gzip file, frames of zstd, streams of xz and bzip2 are read, one
/// after the other, as one output. See [`DecompressReader`] for the promises. Nothing is read
/// before the first read from the result.
///
/// ```
/// use std::io::Read;
/// use cask_layer::{DecompressLimits, decompress, detect_reader};
///
/// let blob = &b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x4b\x4c\x4a\x06\0\xc2\x41\x24\x35\x03\0\0\0"[..];
/// let (compression, reader) = detect_reader(blob)?;
/// let mut reader = decompress(reader, compression, DecompressLimits::default());
/// let mut text = String::new();
/// reader.read_to_string(&mut text)?;
/// assert_eq!(text, "abc");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn decompress<R: Read>(
    reader: R,
    compression: Compression,
    limits: DecompressLimits,
) -> DecompressReader<R> {
    let codec: Result<Option<Box<dyn Codec>>, Fault> = match compression {
        Compression::None => Ok(None),
        Compression::Gzip => Ok(Some(Box::new(gzip::Gzip::new()))),
        Compression::Zstd => zstd::Zstd::new(&limits).map(|codec| Some(Box::new(codec) as _)),
        Compression::Xz => xz::Xz::new(&limits).map(|codec| Some(Box::new(codec) as _)),
        Compression::Bzip2 => Ok(Some(Box::new(bzip2::Bzip2::new()))),
    };
    let (codec, failure) = match codec {
        Ok(codec) => (codec, None),
        Err(fault) => (None, Some(Error::decompress(fault.kind, compression, 0, fault.detail))),
    };
    let input_bytes = if codec.is_some() { INPUT_BYTES } else { 0 };
    DecompressReader {
        reader,
        compression,
        limits,
        codec,
        input: vec![0; input_bytes].into_boxed_slice(),
        start: 0,
        end: 0,
        input_ended: false,
        consumed: 0,
        produced: 0,
        finished: false,
        failure,
    }
}

/// Plain bytes out of compressed ones; made by [`decompress`].
///
/// - **The end is the end.** `Ok(0)` for a buffer that is not empty means: everything was
///   decoded, every checksum matched, and the reader below has itself returned `Ok(0)`, so that a
///   digest computed below has seen every compressed byte. Consumers that stop by themselves (a
///   tar reader at its end marker) call [`finish`](Self::finish), which reads the rest.
/// - **Cut short is an error**, of kind [`Truncated`](ErrorKind::Truncated); so is empty input
///   for any compression but [`None`](Compression::None).
/// - **What follows the last member** must be another one. Anything else is
///   [`Corrupt`](ErrorKind::Corrupt), as in Go's `compress/gzip`, `compress/bzip2` and klauspost's
///   zstd. Two kinds of padding are let pass: zero bytes up to the end after gzip (tapes and
///   block devices make it, GNU gzip and pigz ignore it, Go does not), and xz's own stream
///   padding, zeros in multiples of four.
/// - **Limits** are those of [`DecompressLimits`]. At most one byte over
///   [`max_output_bytes`](DecompressLimits::max_output_bytes) is decoded and none is returned.
/// - Once an error of this crate was returned, every later read returns it again. Errors of the
///   reader below pass through untouched and may be followed by another try; interrupted reads
///   are retried.
///
/// Give it large buffers, 64 KiB or more: it decodes straight into them and each call has a price.
/// [`pipelined`](crate::pipelined) does so and moves the work to another core; for small reads
/// [`std::io::BufReader`] does.
///
/// Memory: 64 KiB of input, and what the format needs (gzip 50 KiB, bzip2 4 MiB, zstd and xz their
/// windows).
///
/// # Errors
/// [`Corrupt`](ErrorKind::Corrupt), [`Truncated`](ErrorKind::Truncated),
/// [`LimitExceeded`](ErrorKind::LimitExceeded), [`Unsupported`](ErrorKind::Unsupported) (a
/// dictionary, an unknown filter or check) and [`OutOfMemory`](ErrorKind::OutOfMemory), inside
/// [`io::Error`]: see [`Error::of`].
pub struct DecompressReader<R> {
    reader: R,
    compression: Compression,
    limits: DecompressLimits,
    /// Nothing for data that is not compressed.
    codec: Option<Box<dyn Codec>>,
    input: Box<[u8]>,
    start: usize,
    end: usize,
    input_ended: bool,
    consumed: u64,
    produced: u64,
    finished: bool,
    failure: Option<Error>,
}

impl<R> DecompressReader<R> {
    /// The compression that is undone.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// How many compressed bytes have been decoded so far.
    pub fn compressed_bytes(&self) -> u64 {
        self.consumed
    }

    /// How many plain bytes have come out so far.
    pub fn decompressed_bytes(&self) -> u64 {
        self.produced
    }

    /// Borrows the inner reader, which may be up to 64 KiB ahead of what was decoded.
    pub fn inner(&self) -> &R {
        &self.reader
    }
}

impl<R: Read> DecompressReader<R> {
    /// Reads and checks what is left, throws it away, and gives the inner reader back.
    ///
    /// The inner reader has then been read to its end. What is thrown away counts against the
    /// limits.
    ///
    /// # Errors
    /// Those of reading.
    pub fn finish(mut self) -> io::Result<R> {
        if !self.finished {
            let mut scratch = vec![0; 128 * 1024];
            while self.read(&mut scratch)? > 0 {}
        }
        Ok(self.reader)
    }

    fn read_stored(&mut self, output: &mut [u8]) -> io::Result<usize> {
        let count = retry(|| self.reader.read(output))?;
        self.consumed += count as u64;
        self.finished = count == 0;
        self.count_output(count)
    }

    fn fill(&mut self) -> io::Result<()> {
        let count = retry(|| self.reader.read(&mut self.input))?;
        self.input_ended = count == 0;
        self.start = 0;
        self.end = count;
        Ok(())
    }
}

impl<R> DecompressReader<R> {
    /// Adds to the output's count, if the limits allow.
    fn count_output(&mut self, count: usize) -> io::Result<usize> {
        self.produced += count as u64;
        let limits = self.limits;
        if self.produced > limits.max_output_bytes {
            let limit = limits.max_output_bytes;
            return Err(self.fail(ErrorKind::LimitExceeded { what: Limit::OutputBytes, limit }, ""));
        }
        if self.codec.is_some()
            && self.produced > limits.ratio_floor_bytes
            && self.produced > self.consumed.saturating_mul(limits.max_ratio)
        {
            let limit = limits.max_ratio;
            return Err(self.fail(ErrorKind::LimitExceeded { what: Limit::Ratio, limit }, ""));
        }
        Ok(count)
    }

    fn fail(
        &mut self,
        kind: ErrorKind,
        detail: impl Into<std::borrow::Cow<'static, str>>,
    ) -> io::Error {
        let error = Error::decompress(kind, self.compression, self.consumed, detail);
        self.failure = Some(error.clone());
        error.into()
    }

    /// The end of the input: of everything, or too early.
    fn end(&mut self, step: Step, unfinished: &'static str) -> io::Result<usize> {
        if !step.boundary {
            return Err(self.fail(ErrorKind::Truncated, unfinished));
        }
        self.finished = true;
        Ok(0)
    }
}

impl<R: Read> Read for DecompressReader<R> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        if let Some(error) = &self.failure {
            return Err(error.clone().into());
        }
        if output.is_empty() || self.finished {
            return Ok(0);
        }
        // One byte over the limit tells "exactly at the limit" from "more".
        let room = (self.limits.max_output_bytes - self.produced).saturating_add(1);
        let len = usize::try_from(room).map_or(output.len(), |room| room.min(output.len()));
        let output = &mut output[..len];
        loop {
            if self.start == self.end && !self.input_ended && self.codec.is_some() {
                self.fill()?;
            }
            let Some(codec) = &mut self.codec else { return self.read_stored(output) };
            let input = &self.input[self.start..self.end];
            let step = match codec.step(input, self.input_ended, output) {
                Ok(step) => step,
                Err(fault) => {
                    self.consumed += fault.consumed as u64;
                    return Err(self.fail(fault.kind, fault.detail));
                }
            };
            self.start += step.consumed;
            self.consumed += step.consumed as u64;
            if step.produced > 0 {
                return self.count_output(step.produced);
            }
            if step.consumed == 0 && self.input_ended {
                let unfinished = codec.unfinished();
                return self.end(step, unfinished);
            }
            if step.consumed == 0 && self.start < self.end {
                return Err(self.fail(ErrorKind::Corrupt, "the decoder makes no progress"));
            }
        }
    }
}

impl<R> fmt::Debug for DecompressReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecompressReader")
            .field("compression", &self.compression)
            .field("compressed_bytes", &self.consumed)
            .field("decompressed_bytes", &self.produced)
            .field("finished", &self.finished)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

fn retry(mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
