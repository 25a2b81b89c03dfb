//! Reading images.

use std::io::{Read as _, Seek as _, SeekFrom};

use async_trait::async_trait;
use cask_image::{Descriptor, Digest, MAX_MANIFEST_BYTES};
use cask_layout::{Content as _, ImageChoice, Layout};
use cask_layout_seam::{of_layout, with_selector};
use cask_transport::{
    Error, Result, Selector, Source, UnverifiedBlob, UnverifiedManifest, blocking,
};

/// An opened layout.
pub(crate) struct OciSource {
    layout: Layout,
    chosen: ImageChoice,
}

impl OciSource {
    pub(crate) fn new(layout: Layout, chosen: ImageChoice) -> Self {
        Self { layout, chosen }
    }

    /// Runs work on the layout on the blocking pool.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Layout) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let layout = self.layout.clone();
        blocking(move || work(&layout)).await
    }
}

#[async_trait]
impl Source for OciSource {
    async fn resolve(&self, selector: &Selector) -> Result<Descriptor> {
        let (selector, chosen) = (selector.clone(), self.chosen.clone());
        self.read(move |layout| {
            let selector = with_selector(&selector, &chosen)?;
            layout.resolve(selector).map(|entry| entry.descriptor).map_err(of_layout)
        })
        .await
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<UnverifiedManifest> {
        let digest = descriptor.digest.clone();
        self.read(move |layout| {
            let (file, _) = layout.open_blob(&digest).map_err(of_layout)?;
            let mut bytes = Vec::new();
            file.take(MAX_MANIFEST_BYTES + 1)
                .read_to_end(&mut bytes)
                .map_err(|error| Error::from_io(error, "reading manifest", &digest))?;
            Ok(UnverifiedManifest::new(bytes))
        })
        .await
    }

    async fn blob(&self, descriptor: &Descriptor, offset: u64) -> Result<UnverifiedBlob> {
        let digest = descriptor.digest.clone();
        self.read(move |layout| {
            let (mut file, _) = layout.open_blob(&digest).map_err(of_layout)?;
            if offset > 0 {
                file.seek(SeekFrom::Start(offset))
                    .map_err(|error| Error::from_io(error, "reading blob", &digest))?;
            }
            Ok(UnverifiedBlob::from_read(file))
        })
        .await
    }

    async fn blob_size(&self, digest: &Digest) -> Result<u64> {
        let digest = digest.clone();
        self.read(move |layout| {
            layout.open_blob(&digest).map(|(_, size_bytes)| size_bytes).map_err(of_layout)
        })
        .await
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let subject = subject.clone();
        self.read(move |layout| layout.referrers(&subject).map_err(of_layout)).await
    }
}
