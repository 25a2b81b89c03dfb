//! Reading synchronously.

use std::fmt;
use std::io::{self, Read};

use bytes::Bytes;
use cask_image::Algorithm;
use futures_util::stream::BoxStream;

use super::check::Check;
use super::stream::{next_chunk, read_full};
use super::{CHUNK_BYTES, Measured};
use crate::{Error, Result};

/// The bytes of a blob for synchronous work, on a thread that may block.
///
/// Its [`Read`] fails at the end unless digest and size are what was promised; the error inside
/// is an [`Error`], which [`Error::from_io`] takes out again.
pub struct BlobRead {
    pub(super) source: SyncSource,
    pub(super) check: Check,
    pub(super) pending: Bytes,
}

pub(super) enum SyncSource {
    Read(Box<dyn Read + Send>),
    Stream { stream: BoxStream<'static, Result<Bytes>>, runtime: tokio::runtime::Handle },
}

impl BlobRead {
    /// Reads what is left and gives digest and size of everything.
    ///
    /// # Errors
    /// As [`BlobReader::next`](crate::BlobReader::next).
    pub fn finish(mut self) -> Result<Measured> {
        let mut rest = [0; 1];
        if self.check.measured.is_none() && read_full(&mut self, &mut rest).map_err(unwrap_io)? > 0
        {
            let mut rest = vec![0; CHUNK_BYTES];
            while self.read(&mut rest).map_err(unwrap_io)? > 0 {}
        }
        Ok(self.check.measured.expect("the end was reached without an error"))
    }

    /// The algorithm of the digest that the bytes are checked by.
    pub fn algorithm(&self) -> Algorithm {
        self.check.algorithm
    }

    /// Digest and size of everything, once a read has given `Ok(0)`: whoever needs them does not hash again.
    pub fn measured(&self) -> Option<&Measured> {
        self.check.measured.as_ref()
    }

    /// Writes everything to `target`, chunk by chunk, and gives digest and size.
    ///
    /// # Errors
    /// As [`BlobReader::next`](crate::BlobReader::next); what the target says is wrapped by `failed`.
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

impl BlobRead {
    /// Reads from below, and checks.
    fn read_checked(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.check.ready()?;
        if !self.pending.is_empty() {
            return Ok(self.take_pending(buffer));
        }
        if self.check.measured.is_some() {
            return Ok(0);
        }
        match &mut self.source {
            SyncSource::Read(read) => {
                let bytes = loop {
                    match read.read(buffer) {
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => {
                            let subject = self.check.subject();
                            return self.check.fail(Error::from_io(error, "reading blob", subject));
                        }
                        Ok(bytes) => break bytes,
                    }
                };
                if bytes == 0 {
                    self.check.end()?;
                } else {
                    self.check.pass(&buffer[..bytes])?;
                }
                Ok(bytes)
            }
            SyncSource::Stream { stream, runtime } => {
                match runtime.block_on(next_chunk(stream, &mut self.check))? {
                    None => Ok(0),
                    Some(chunk) => {
                        self.pending = chunk;
                        Ok(self.take_pending(buffer))
                    }
                }
            }
        }
    }

    fn take_pending(&mut self, buffer: &mut [u8]) -> usize {
        let bytes = self.pending.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&self.pending.split_to(bytes));
        bytes
    }
}

impl Read for BlobRead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        Ok(self.read_checked(buffer)?)
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
