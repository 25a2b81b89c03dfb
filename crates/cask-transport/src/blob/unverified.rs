//! What goes into a reader, and what comes of it.

use std::fmt;
use std::io::Read;
use std::ops::ControlFlow;

use bytes::Bytes;
use cask_image::{Descriptor, Digest};
use futures_util::stream::BoxStream;

use super::stream::Bytestream;
use crate::{Error, ErrorKind, Result};

/// How many bytes at a time move between threads: 256 KiB.
pub const CHUNK_BYTES: usize = 256 << 10;

/// The bytes of a blob that nobody has checked yet.
///
/// Only [`VerifiedSource`](crate::VerifiedSource) can look inside.
pub struct UnverifiedBlob(pub(crate) Bytestream);

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

impl Measured {
    /// Compares what was written with what was announced, if that is known.
    ///
    /// # Errors
    /// `SizeMismatch`, `DigestMismatch`. The words are those of containers/image.
    pub fn expect(&self, announced: Option<&Self>) -> Result<()> {
        let Some(Self { digest, size }) = announced else { return Ok(()) };
        let differs = |kind, detail: String| {
            Err(Error::new(kind, "writing blob", digest).with_detail(detail))
        };
        if *size != self.size {
            let got = self.size;
            let detail = format!("Size mismatch when copying {digest}, expected {size}, got {got}");
            return differs(ErrorKind::SizeMismatch, detail);
        }
        if *digest != self.digest {
            let detail = format!("Digest did not match, expected {digest}, got {}", self.digest);
            return differs(ErrorKind::DigestMismatch, detail);
        }
        Ok(())
    }
}

/// Is told how many more bytes were read, and says whether to go on.
pub type Watch = dyn Fn(u64) -> ControlFlow<()> + Send + Sync;
