//! Bodies for blobs: whole ones, and ones that break.

use std::io::{self, Read};

use async_trait::async_trait;
use bytes::Bytes;
use cask_image::Algorithm;
use cask_transport::{BlobReader, Body, Error, ErrorKind, Result};

/// A body that is in memory.
#[derive(Clone, Debug)]
pub struct BytesBody(
    /// The bytes.
    pub Bytes,
);

#[async_trait]
impl Body for BytesBody {
    async fn open(&self) -> Result<BlobReader> {
        Ok(BlobReader::measured(io::Cursor::new(self.0.clone()), Algorithm::Sha256))
    }
}

/// A body that breaks off with a digest error after its bytes, as a source does that lies.
#[derive(Clone, Debug)]
pub struct FailingBody(
    /// The bytes before the error.
    pub Bytes,
);

#[async_trait]
impl Body for FailingBody {
    async fn open(&self) -> Result<BlobReader> {
        let read = Failing(io::Cursor::new(self.0.clone()));
        Ok(BlobReader::measured(read, Algorithm::Sha256))
    }
}

struct Failing(io::Cursor<Bytes>);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 if !buffer.is_empty() => {
                Err(Error::new(ErrorKind::DigestMismatch, "reading blob", "the test's").into())
            }
            bytes => Ok(bytes),
        }
    }
}
