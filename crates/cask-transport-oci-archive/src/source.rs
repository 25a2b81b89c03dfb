//! Reading images.

use std::io::{Seek as _, SeekFrom};

use async_trait::async_trait;
use cask_image::{Descriptor, Digest};
use cask_layout::{Content as _, ImageChoice};
use cask_layout_seam::with_selector;
use cask_transport::{
    Error, ErrorKind, Result, Selector, Source, UnverifiedBlob, UnverifiedManifest, blocking,
};

use crate::archive::OciArchive;

/// An opened archive.
pub(crate) struct OciArchiveSource {
    archive: OciArchive,
    chosen: ImageChoice,
}

impl OciArchiveSource {
    pub(crate) fn new(archive: OciArchive, chosen: ImageChoice) -> Self {
        Self { archive, chosen }
    }

    /// Runs work on the archive on the blocking pool.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&OciArchive) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let archive = self.archive.clone();
        blocking(move || work(&archive)).await
    }
}

#[async_trait]
impl Source for OciArchiveSource {
    async fn resolve(&self, selector: &Selector) -> Result<Descriptor> {
        let (selector, chosen) = (selector.clone(), self.chosen.clone());
        self.read(move |archive| {
            let selector = with_selector(&selector, &chosen)?;
            Ok(archive.resolve(selector)?.descriptor)
        })
        .await
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<UnverifiedManifest> {
        let digest = descriptor.digest.clone();
        self.read(move |archive| Ok(UnverifiedManifest::new(archive.manifest_bytes(&digest)?)))
            .await
    }

    async fn blob(&self, descriptor: &Descriptor, offset: u64) -> Result<UnverifiedBlob> {
        let digest = descriptor.digest.clone();
        self.read(move |archive| {
            let mut blob = archive.open_blob(&digest)?;
            blob.seek(SeekFrom::Start(offset))
                .map_err(|error| Error::from_io(error, "reading blob", &digest))?;
            Ok(UnverifiedBlob::from_read(blob))
        })
        .await
    }

    async fn blob_size(&self, digest: &Digest) -> Result<u64> {
        let digest = digest.clone();
        self.read(move |archive| {
            archive.blob_size(&digest)?.ok_or_else(|| {
                archive
                    .error(ErrorKind::NotFound, "reading")
                    .with_detail(format!("there is no blob {digest}"))
            })
        })
        .await
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let subject = subject.clone();
        self.read(move |archive| archive.referrers(&subject)).await
    }
}
