//! The bytes of one member.

use std::fmt;
use std::io::{self, BufRead, Read};

use super::{Observe, TarError, TarErrorKind};

/// The reader below the members, with its position.
#[derive(Debug)]
pub(super) struct Source<R> {
    pub(super) reader: R,
    pub(super) offset: u64,
}

impl<R: BufRead> Source<R> {
    /// Looks at what comes next; empty at the end.
    pub(super) fn fill(&mut self) -> Result<&[u8], TarError> {
        loop {
            match self.reader.fill_buf() {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(TarError::io(self.offset, error)),
            }
        }
        // The borrow checker cannot see that the first answer would do: what is buffered is
        // given again, without reading.
        self.reader.fill_buf().map_err(|error| TarError::io(self.offset, error))
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.reader.consume(count);
        self.offset += count as u64;
    }

    /// Appends the next `count` bytes to `buffer`, or fewer at the end of the stream; says how
    /// many.
    pub(super) fn read_onto(
        &mut self,
        buffer: &mut Vec<u8>,
        count: usize,
    ) -> Result<usize, TarError> {
        let mut done = 0;
        while done < count {
            let available = self.fill()?;
            if available.is_empty() {
                break;
            }
            let part = available.len().min(count - done);
            buffer.extend_from_slice(&available[..part]);
            self.consume(part);
            done += part;
        }
        Ok(done)
    }
}

/// The payload of a member, as it is in the stream: for sparse files the data without the holes.
///
/// Reads from it give `Ok(0)` at the end of the payload and an error of kind
/// [`Truncated`](TarErrorKind::Truncated) where the stream ends before. As a [`BufRead`] it hands
/// out the buffer of the reader below, so that nothing is copied. What is not read is skipped by
/// the next call to [`Members::next_member`](crate::Members::next_member).
pub struct Payload<'a, R, O = ()> {
    pub(super) source: &'a mut Source<R>,
    pub(super) observer: &'a mut O,
    pub(super) remaining: &'a mut u64,
    pub(super) name: &'a [u8],
}

impl<R, O> Payload<'_, R, O> {
    /// How many bytes are left to read.
    pub fn remaining_bytes(&self) -> u64 {
        *self.remaining
    }
}

impl<R: BufRead, O: Observe> Payload<'_, R, O> {
    /// Reads what is left and throws it away.
    pub(super) fn skip(&mut self) -> Result<(), TarError> {
        while *self.remaining > 0 {
            let available = self.fill()?.len();
            self.consume(available);
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<&[u8], TarError> {
        if *self.remaining == 0 {
            return Ok(&[]);
        }
        let offset = self.source.offset;
        let available = self.source.fill().map_err(|error| error.about(self.name))?;
        if available.is_empty() {
            let missing = format!("{} more bytes of payload were expected", self.remaining);
            let error = TarError::new(TarErrorKind::Truncated, offset, missing);
            return Err(error.about(self.name));
        }
        let room = usize::try_from(*self.remaining).unwrap_or(usize::MAX);
        Ok(&available[..available.len().min(room)])
    }
}

impl<R: BufRead, O: Observe> BufRead for Payload<'_, R, O> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.fill()?)
    }

    fn consume(&mut self, count: usize) {
        let room = usize::try_from(*self.remaining).unwrap_or(usize::MAX);
        let count = count.min(room);
        if count == 0 {
            return;
        }
        // What is consumed has been handed out, so it is there without reading.
        if let Ok(available) = self.source.reader.fill_buf() {
            let count = count.min(available.len());
            self.observer.payload(&available[..count]);
            self.source.consume(count);
            *self.remaining -= count as u64;
        }
    }
}

impl<R: BufRead, O: Observe> Read for Payload<'_, R, O> {
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

impl<R, O> fmt::Debug for Payload<'_, R, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload").field("remaining", &self.remaining).finish_non_exhaustive()
    }
}
