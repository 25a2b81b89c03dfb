//! A blob's body as what a registry is sent.

use std::sync::OnceLock;

use async_trait::async_trait;
use bytes::Bytes;
use cask_image::{Digest, LayerCompression};
use cask_registry::{BodyStream, BoxError, UploadBody};
use cask_transport::{BlobBody, BlobReader};
use futures_util::stream;

/// Bytes of the seam on their way to a registry.
pub(crate) struct Upload {
    pub(crate) body: BlobBody,
    /// How many bytes there will be, where that is known.
    pub(crate) size: Option<u64>,
    /// The plain layer that the bytes are, compressed; known once they were opened.
    pub(crate) unpacked: OnceLock<(Digest, LayerCompression)>,
}

impl Upload {
    pub(crate) fn new(body: BlobBody, size: Option<u64>) -> Self {
        Self { body, size, unpacked: OnceLock::new() }
    }
}

#[async_trait]
impl UploadBody for Upload {
    fn size(&self) -> Option<u64> {
        self.size
    }

    async fn open(&self, offset: u64) -> Result<BodyStream, BoxError> {
        let reader = self.body.open().await?;
        if let Some(unpacked) = reader.unpacked() {
            // Opening again finds the same.
            let _ = self.unpacked.set(unpacked.clone());
        }
        let state = Reading { reader, skip: offset, held: None };
        Ok(Box::pin(stream::try_unfold(state, Reading::next)))
    }
}

struct Reading {
    reader: BlobReader,
    /// How many bytes are still to be left out.
    skip: u64,
    /// Read, and held back: the last bytes are sent only after all were found to match, because
    /// whoever knows the length does not read on for the end.
    held: Option<Bytes>,
}

impl Reading {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, BoxError> {
        while let Some(mut chunk) = self.reader.next().await? {
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(chunk.len());
            self.skip -= skipped as u64;
            let chunk = chunk.split_off(skipped);
            if chunk.is_empty() {
                continue;
            }
            if let Some(ready) = self.held.replace(chunk) {
                return Ok(Some((ready, self)));
            }
        }
        Ok(self.held.take().map(|last| (last, self)))
    }
}
