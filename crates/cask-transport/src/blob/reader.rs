//! Reading asynchronously.

use std::fmt;
use std::io::Read;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use cask_image::{Algorithm, Digest, Hasher, LayerCompression};

use super::check::Check;
use super::read::{BlobRead, SyncSource};
use super::stream::{Bytestream, next_chunk};
use super::{Measured, UnverifiedBlob, Watch};
use crate::{Cancellation, Error, ErrorKind, Result, blocking};

/// The bytes of a blob. Fails at its end unless digest and size are what was promised.
pub struct BlobReader {
    bytes: Bytestream,
    check: Check,
    /// Passed the check and was not given away yet.
    pending: Bytes,
    unpacks_to: Option<(Digest, LayerCompression)>,
}

impl BlobReader {
    pub(crate) fn verified(blob: UnverifiedBlob, expected: Measured, prefix: Hasher) -> Self {
        Self {
            bytes: blob.0,
            check: Check::new(prefix, Some(expected)),
            pending: Bytes::new(),
            unpacks_to: None,
        }
    }

    /// Wraps bytes that are made on the way, such as a layer that is being compressed. Their
    /// digest is computed.
    pub fn measured(read: impl Read + Send + 'static, algorithm: Algorithm) -> Self {
        let check = Check::new(Hasher::new(algorithm), None);
        Self {
            bytes: Bytestream::Read(Box::new(read)),
            check,
            pending: Bytes::new(),
            unpacks_to: None,
        }
    }

    /// Says that the bytes are a plain layer, compressed: whoever reads them to the end without an
    /// error may rely on it. Only for who has compared the digest of the plain layer.
    #[must_use]
    pub fn with_unpacked(mut self, diff_id: Digest, compression: LayerCompression) -> Self {
        self.unpacks_to = Some((diff_id, compression));
        self
    }

    /// The digest of the plain layer that the bytes are, compressed, and how they are; where that
    /// is known.
    pub fn unpacked(&self) -> Option<&(Digest, LayerCompression)> {
        self.unpacks_to.as_ref()
    }

    /// Has a function told of how many bytes were read, chunk by chunk; those that
    /// [`Body::open_after`](crate::Body::open_after) leaves out are not. When it breaks, reading
    /// fails with `Cancelled`.
    #[must_use]
    pub fn watched(mut self, watch: Arc<Watch>) -> Self {
        self.check.watch = Some(watch);
        self
    }

    /// Has reading fail with `Cancelled` once the operation is cancelled, also where a place sends
    /// nothing any more.
    #[must_use]
    pub fn cancelled_by(mut self, cancellation: &Cancellation) -> Self {
        self.check.cancellation = Some(cancellation.clone());
        self
    }

    /// The next chunk, never an empty one; `None` at the end, after everything was found to match,
    /// and whenever it is called after that.
    ///
    /// # Errors
    /// `DigestMismatch`, `SizeMismatch`, `Cancelled`, and those of the place. Every later call
    /// fails again.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        self.check.ready()?;
        if !self.pending.is_empty() {
            return Ok(Some(std::mem::take(&mut self.pending)));
        }
        if self.check.measured.is_some() {
            return Ok(None);
        }
        let stream = self.bytes.as_stream(&self.check.subject());
        next_chunk(stream, &mut self.check).await
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

    /// Drops the bytes that `prefix` has seen, which still count for the digest.
    ///
    /// # Errors
    /// As [`next`](Self::next); `SizeMismatch` if the blob is shorter; `DigestMismatch` if its
    /// first bytes are others, so that nobody joins the halves of two blobs.
    pub(crate) async fn skip(&mut self, prefix: &Hasher) -> Result<()> {
        let bytes = prefix.len();
        let expected = prefix.clone().finish();
        let mut skipped = Hasher::new(expected.algorithm());
        while skipped.len() < bytes {
            let Some(mut chunk) = self.next().await? else {
                let error = Error::new(ErrorKind::SizeMismatch, "reading blob", "");
                return self.check.fail(error.with_detail(format!("it ends before byte {bytes}")));
            };
            let left = usize::try_from(bytes - skipped.len()).unwrap_or(usize::MAX);
            self.pending = chunk.split_off(chunk.len().min(left));
            skipped.update(&chunk);
        }
        if skipped.finish() != expected {
            let error = Error::new(ErrorKind::DigestMismatch, "reading blob", "");
            let detail = format!("its first {bytes} bytes are not those of an earlier attempt");
            return self.check.fail(error.with_detail(detail));
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
