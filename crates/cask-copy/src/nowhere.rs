//! A place that does not exist.

use async_trait::async_trait;
use cask_image::RawManifest;
use cask_transport::{
    BlobBody, BlobSpec, Committed, Error, ErrorKind, Have, ManifestRole, Measured, Result,
    Transaction,
};

/// Has nothing and takes nothing: what a copy to a place is planned with that cannot be there.
pub(crate) struct Nowhere;

fn refused<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, "writing", "")
        .with_detail("the copy was planned for a place that does not exist"))
}

#[async_trait]
impl Transaction for Nowhere {
    async fn have(&self, blobs: &[BlobSpec]) -> Result<Vec<Have>> {
        Ok(vec![Have::Missing; blobs.len()])
    }

    async fn write_blob(&self, _: &BlobSpec, _: BlobBody) -> Result<Measured> {
        refused()
    }

    async fn write_manifest(&self, _: &RawManifest, _: &ManifestRole) -> Result<()> {
        refused()
    }

    async fn commit(self: Box<Self>) -> Result<Committed> {
        refused()
    }
}
