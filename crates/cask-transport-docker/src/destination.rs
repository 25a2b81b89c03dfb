//! Writing an image.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use cask_image::{Descriptor, Digest, RawManifest};
use cask_reference::Repository as RepositoryName;
use cask_registry::{Mount, Selector as Which, UploadOptions, UploadSession};
use cask_transport::{
    BlobBody, BlobKind, BlobSpec, Committed, Error, ErrorKind, Have, ManifestRole, Measured,
    Result, Transaction,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::Mutex;

use crate::error::of_registry;
use crate::location::Place;
use crate::upload::Upload;

/// A config up to this size is sent without asking: the manifest, which was asked for, is not
/// there, so that the config mostly is not either.
const UNASKED_CONFIG_BYTES: u64 = 64 << 10;

/// How many blobs are asked for at once.
const QUESTIONS: usize = 8;

/// An image on its way to a registry.
pub(crate) struct DockerTransaction {
    place: Place,
    /// A repository of the same registry that has the image's blobs.
    mountable_from: Option<RepositoryName>,
    /// Uploads that a registry began when it could not mount.
    begun: Mutex<HashMap<Digest, UploadSession>>,
}

impl DockerTransaction {
    pub(crate) fn new(place: Place, mountable_from: Option<RepositoryName>) -> Self {
        Self { place, mountable_from, begun: Mutex::default() }
    }

    async fn answer(&self, blob: &BlobSpec) -> Result<Have> {
        let Some(Measured { digest, size }) = &blob.measured else { return Ok(Have::Missing) };
        let found = match blob.kind {
            BlobKind::Config if *size <= UNASKED_CONFIG_BYTES => None,
            _ => self.place.repository.blob_size(digest).await.map_err(of_registry)?,
        };
        Ok(match (found, &self.mountable_from) {
            (Some(found), _) if found == *size => Have::Exact,
            (None, Some(from)) => Have::Mountable { from: from.to_string() },
            _ => Have::Missing,
        })
    }

    /// What a manifest is written as.
    fn target(&self, digest: &Digest, role: &ManifestRole) -> Which {
        match role {
            ManifestRole::Top => match self.place.reference.tag() {
                Some(tag) => Which::Tag(tag.clone()),
                None => Which::Digest(digest.clone()),
            },
            _ => Which::Digest(digest.clone()),
        }
    }
}

#[async_trait]
impl Transaction for DockerTransaction {
    async fn holds(&self, manifest: &Descriptor, role: &ManifestRole) -> Result<bool> {
        let target = self.target(&manifest.digest, role);
        let found = self.place.repository.resolve_existing(&target).await.map_err(of_registry)?;
        Ok(found.is_some_and(|found| found.digest == manifest.digest))
    }

    async fn have(&self, blobs: &[BlobSpec]) -> Result<Vec<Have>> {
        let answers: Vec<_> = blobs.iter().map(|blob| self.answer(blob)).collect();
        stream::iter(answers).buffered(QUESTIONS).try_collect().await
    }

    async fn write_blob(&self, blob: &BlobSpec, body: BlobBody) -> Result<Measured> {
        let repository = &self.place.repository;
        let size = blob.measured.as_ref().map(|measured| measured.size);
        let upload = Arc::new(Upload { body, size });
        let mut options = UploadOptions::default();
        let Some(measured) = &blob.measured else {
            let written = repository.upload_stream(upload, options).await.map_err(of_registry)?;
            return Ok(Measured { digest: written.digest, size: written.size_bytes });
        };
        options.session = self.begun.lock().await.remove(&measured.digest);
        repository.upload(&measured.digest, upload, options).await.map_err(of_registry)?;
        Ok(measured.clone())
    }

    async fn mount(&self, blob: &BlobSpec, from: &str) -> Result<bool> {
        let Some(Measured { digest, .. }) = &blob.measured else { return Ok(false) };
        let from = from.parse().map_err(|error: cask_reference::ReferenceError| {
            Error::new(ErrorKind::InvalidLocation, "mounting from", from).with_source(error)
        })?;
        match self.place.repository.mount(digest, &from).await.map_err(of_registry)? {
            Mount::Mounted => Ok(true),
            Mount::Session(session) => {
                self.begun.lock().await.insert(digest.clone(), session);
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    async fn write_manifest(&self, manifest: &RawManifest, role: &ManifestRole) -> Result<()> {
        let target = self.target(manifest.digest(), role);
        self.place.repository.put_manifest(&target, manifest).await.map_err(of_registry)?;
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<Committed> {
        Ok(Committed::default())
    }
}
