//! Writing an image.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use cask_image::{Descriptor, Digest, RawManifest};
use cask_reference::Repository as RepositoryName;
use cask_registry::{Mount, Selector as Which, UploadOptions, UploadSession};
use cask_transfer::Transfers;
use cask_transport::{
    BlobBody, BlobKind, BlobSpec, Committed, Error, ErrorKind, Have, ManifestRole, Measured,
    Result, Signature, Transaction,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::Mutex;

use crate::error::of_registry;
use crate::location::Place;
use crate::signatures::Signatures;
use crate::upload::Upload;
use crate::uploads::{Kept, Uploads};

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
    signatures: Signatures,
    uploads: Uploads,
    /// Uploads that a registry began when it could not mount.
    begun: Mutex<HashMap<Digest, UploadSession>>,
}

impl DockerTransaction {
    pub(crate) fn new(
        place: Place,
        mountable_from: Option<RepositoryName>,
        signatures: Signatures,
        transfers: Option<Transfers>,
    ) -> Self {
        let uploads = Uploads::new(transfers, place.reference.repository().clone());
        Self { place, mountable_from, signatures, uploads, begun: Mutex::default() }
    }

    async fn answer(&self, blob: &BlobSpec) -> Result<Have> {
        let Some(Measured { digest, size }) = &blob.measured else {
            return self.compressed_before(&blob.kind).await;
        };
        let places = self.uploads.places(digest).await;
        let from = places.others.first().or(self.mountable_from.as_ref());
        let mountable = from.map(|from| Have::Mountable { from: from.to_string() });
        // Mounting answers whether the blob is here, too.
        if let (Some(mountable), false, false) =
            (&mountable, places.is_here, places.others.is_empty())
        {
            return Ok(mountable.clone());
        }
        let found = match blob.kind {
            BlobKind::Config if *size <= UNASKED_CONFIG_BYTES => None,
            _ => self.place.repository.blob_size(digest).await.map_err(of_registry)?,
        };
        match (found, mountable) {
            (Some(found), _) if found == *size => {
                self.uploads.found(digest, *size).await;
                Ok(Have::Exact)
            }
            (None, Some(mountable)) => Ok(mountable),
            _ => self.kept_upload(digest, *size).await,
        }
    }

    /// A layer that is to be compressed, if the repository has what came of it another time.
    async fn compressed_before(&self, kind: &BlobKind) -> Result<Have> {
        let BlobKind::Layer { diff_id: Some(diff_id) } = kind else { return Ok(Have::Missing) };
        let mut elsewhere = None;
        for form in self.uploads.forms(diff_id).await {
            let found = self.place.repository.blob_size(&form.digest).await.map_err(of_registry)?;
            if found == Some(form.size) {
                return Ok(Have::Equivalent(Box::new(form)));
            }
            if elsewhere.is_none() {
                let places = self.uploads.places(&form.digest).await;
                elsewhere = places.others.first().map(|from| (from.to_string(), form));
            }
        }
        Ok(match elsewhere {
            Some((from, other)) => Have::MountableEquivalent { other: Box::new(other), from },
            None => Have::Missing,
        })
    }

    /// What an earlier process has sent of a blob.
    async fn kept_upload(&self, digest: &Digest, size: u64) -> Result<Have> {
        let kept = self.uploads.kept(digest, size).await;
        let Some(session) = kept.and_then(|kept| kept.session()) else { return Ok(Have::Missing) };
        let status = self.place.repository.upload_status(&session).await.map_err(of_registry)?;
        Ok(match status.map(|session| session.received_bytes()) {
            Some(bytes) if bytes > 0 && bytes <= size => Have::Partial { bytes },
            _ => Have::Missing,
        })
    }

    /// Asks the repositories that may have a blob, one after the other.
    async fn mount_from(&self, digest: &Digest, places: &[RepositoryName]) -> Result<bool> {
        let repository = &self.place.repository;
        for from in places {
            let session = match repository.mount(digest, from).await.map_err(of_registry)? {
                Mount::Mounted => return Ok(true),
                Mount::Session(session) => Some(session),
                _ => None,
            };
            self.uploads.missed(digest, from);
            if let Some(session) = session
                && let Some(other) = self.begun.lock().await.insert(digest.clone(), session)
            {
                // One is enough. The registry forgets the other if it is not told, too.
                let _ = repository.cancel_upload(&other).await;
            }
        }
        Ok(false)
    }

    /// The upload to go on with: what an earlier process has sent is worth more than an empty one.
    async fn session(&self, digest: &Digest, kept: Option<&Kept>) -> Option<UploadSession> {
        let begun = self.begun.lock().await.remove(digest);
        let Some(session) = kept.and_then(Kept::session) else { return begun };
        if let Some(begun) = begun {
            let _ = self.place.repository.cancel_upload(&begun).await;
        }
        Some(session)
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
        let upload = Arc::new(Upload::new(body, size));
        let mut options = UploadOptions::default();
        let Some(measured) = &blob.measured else {
            let sent = Arc::clone(&upload);
            let written = repository.upload_stream(sent, options).await.map_err(of_registry)?;
            let measured = Measured { digest: written.digest, size: written.size_bytes };
            self.uploads.saw(&measured.digest, measured.size);
            if let Some((diff_id, compression)) = upload.unpacked.get() {
                self.uploads.compressed(diff_id, *compression, &measured);
            }
            return Ok(measured);
        };
        let Measured { digest, size } = measured;
        let kept = self.uploads.kept(digest, *size).await;
        options.session = self.session(digest, kept.as_ref()).await;
        options.session_sink = kept.as_ref().map(Kept::sink);
        repository.upload(digest, upload, options).await.map_err(of_registry)?;
        if let Some(kept) = kept {
            kept.remove();
        }
        self.uploads.saw(digest, *size);
        Ok(measured.clone())
    }

    async fn mount(&self, blob: &BlobSpec, from: &str) -> Result<bool> {
        let Some(Measured { digest, size }) = &blob.measured else { return Ok(false) };
        let from: RepositoryName =
            from.parse().map_err(|error: cask_reference::ReferenceError| {
                Error::new(ErrorKind::InvalidLocation, "mounting from", from).with_source(error)
            })?;
        let is_hint = self.mountable_from.as_ref() != Some(&from);
        let mut places = self.uploads.places(digest).await.others;
        places.retain(|place| *place != from);
        places.insert(0, from);
        let mut is_there = self.mount_from(digest, &places).await?;
        if !is_there && is_hint {
            // It was not asked for before.
            let found = self.place.repository.blob_size(digest).await.map_err(of_registry)?;
            is_there = found == Some(*size);
        }
        if is_there {
            self.uploads.found(digest, *size).await;
        }
        Ok(is_there)
    }

    async fn write_manifest(&self, manifest: &RawManifest, role: &ManifestRole) -> Result<()> {
        let target = self.target(manifest.digest(), role);
        self.place.repository.put_manifest(&target, manifest).await.map_err(of_registry)?;
        Ok(())
    }

    async fn write_signatures(
        &self,
        manifest: &RawManifest,
        signatures: &[Signature],
    ) -> Result<()> {
        self.signatures.write(&self.place, manifest.digest(), signatures).await
    }

    async fn commit(self: Box<Self>) -> Result<Committed> {
        Ok(Committed::default())
    }
}
