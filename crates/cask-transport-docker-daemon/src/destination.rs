//! Writing an image.

use std::sync::Arc;

use async_trait::async_trait;
use cask_docker_tar_seam::DockerTarTransaction;
use cask_image::RawManifest;
use cask_transport::{
    BlobBody, BlobSpec, Committed, Error, Have, ManifestRole, Measured, Result, Transaction,
};

use crate::upload::Upload;

/// An image on its way into a daemon: an archive that goes to it while it is made.
pub(crate) struct DockerDaemonTransaction {
    archive: DockerTarTransaction,
    upload: Arc<Upload>,
}

impl DockerDaemonTransaction {
    pub(crate) fn new(archive: DockerTarTransaction, upload: Arc<Upload>) -> Self {
        Self { archive, upload }
    }

    /// If the daemon is what failed, gives its reason and not that of who wrote to it.
    async fn explained<T>(&self, result: Result<T>) -> Result<T> {
        match result {
            Ok(value) => Ok(value),
            Err(error) => Err(explain(&self.upload, error).await),
        }
    }
}

async fn explain(upload: &Upload, error: Error) -> Error {
    upload.failure().await.unwrap_or(error)
}

#[async_trait]
impl Transaction for DockerDaemonTransaction {
    async fn have(&self, blobs: &[BlobSpec]) -> Result<Vec<Have>> {
        self.explained(self.archive.have(blobs).await).await
    }

    async fn write_blob(&self, blob: &BlobSpec, body: BlobBody) -> Result<Measured> {
        self.explained(self.archive.write_blob(blob, body).await).await
    }

    async fn write_manifest(&self, manifest: &RawManifest, role: &ManifestRole) -> Result<()> {
        self.explained(self.archive.write_manifest(manifest, role).await).await
    }

    async fn commit(self: Box<Self>) -> Result<Committed> {
        let Self { archive, upload } = *self;
        match Box::new(archive).commit().await {
            Ok(committed) => {
                upload.finish().await?;
                Ok(committed)
            }
            Err(error) => Err(explain(&upload, error).await),
        }
    }
}
