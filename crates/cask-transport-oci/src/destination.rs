//! Writing an image.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use cask_image::{Descriptor, MediaType, RawManifest};
use cask_layout::{LayoutTransaction, NewEntry, ReferenceName};
use cask_layout_seam::{describe_referrer, of_layout};
use cask_transport::{
    BlobBody, BlobSpec, Committed, Error, ErrorKind, Have, ManifestRole, Measured, Result,
    Transaction, blocking,
};

/// An image on its way into a layout.
pub(crate) struct OciTransaction {
    inner: Arc<LayoutTransaction>,
    /// The layout, for messages.
    path: String,
    name: Option<ReferenceName>,
    listed: Mutex<Listed>,
}

/// What `index.json` is to list.
#[derive(Default)]
struct Listed {
    top: Option<Descriptor>,
    referrers: Vec<Descriptor>,
}

impl OciTransaction {
    pub(crate) fn new(inner: LayoutTransaction, path: String, name: Option<ReferenceName>) -> Self {
        Self { inner: Arc::new(inner), path, name, listed: Mutex::default() }
    }

    /// Runs work on the transaction on the blocking pool.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&LayoutTransaction) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = Arc::clone(&self.inner);
        blocking(move || work(&inner)).await
    }

    fn list(&self, manifest: &RawManifest, role: &ManifestRole) {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        match role {
            ManifestRole::Top => listed.top = Some(manifest.descriptor()),
            // Readers look for referrers there.
            ManifestRole::Referrer => listed.referrers.push(describe_referrer(manifest)),
            _ => {}
        }
    }

    fn entries(&self) -> Result<Vec<NewEntry>> {
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(top) = listed.top.clone() else {
            return Err(Error::new(ErrorKind::Corrupt, "committing", "")
                .with_detail("no top manifest was written"));
        };
        let top = NewEntry { descriptor: top, name: self.name.clone() };
        let referrers = listed.referrers.iter().cloned();
        let referrers = referrers.map(|descriptor| NewEntry { descriptor, name: None });
        Ok(std::iter::once(top).chain(referrers).collect())
    }
}

#[async_trait]
impl Transaction for OciTransaction {
    async fn have(&self, blobs: &[BlobSpec]) -> Result<Vec<Have>> {
        let wanted: Vec<Option<Measured>> =
            blobs.iter().map(|blob| blob.measured.clone()).collect();
        self.write(move |transaction| {
            let have = |wanted: Option<Measured>| match wanted {
                Some(Measured { digest, size }) => {
                    let found = transaction.blob_size(&digest).map_err(of_layout)?;
                    Ok(if found == Some(size) { Have::Exact } else { Have::Missing })
                }
                None => Ok(Have::Missing),
            };
            wanted.into_iter().map(have).collect()
        })
        .await
    }

    async fn write_blob(&self, blob: &BlobSpec, body: BlobBody) -> Result<Measured> {
        let reader = body.open().await?;
        let expected = blob.measured.clone();
        let media_type = blob.media_type.clone();
        let path = self.path.clone();
        self.write(move |transaction| {
            let mut writer = transaction.blob_writer().map_err(of_layout)?;
            let operation = match &expected {
                Some(Measured { digest, .. }) => format!("writing blob {digest} to"),
                None => "writing a blob to".to_owned(),
            };
            let measured = reader
                .into_read()
                .copy_to(&mut writer, |error| Error::from_io(error, operation.clone(), &path))?;
            measured.expect(expected.as_ref())?;
            let digest = measured.digest.clone();
            let descriptor = Descriptor::new(media_type, digest, measured.size);
            writer.finish(&descriptor).map_err(of_layout)?;
            Ok(measured)
        })
        .await
    }

    async fn write_manifest(&self, manifest: &RawManifest, role: &ManifestRole) -> Result<()> {
        if !matches!(manifest.media_type(), MediaType::OciManifest | MediaType::OciIndex) {
            let subject = manifest.digest();
            return Err(Error::new(ErrorKind::ManifestRefused, "writing manifest", subject)
                .with_detail(format!(
                    "a layout holds OCI manifests and indexes, not {}",
                    manifest.media_type()
                )));
        }
        let written = manifest.clone();
        self.write(move |transaction| transaction.write_manifest(&written).map_err(of_layout))
            .await?;
        self.list(manifest, role);
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<Committed> {
        let entries = self.entries()?;
        let inner = self.inner;
        blocking(move || {
            // A write that was given up may still be running on its thread.
            let transaction = Arc::try_unwrap(inner).map_err(|_| {
                Error::new(ErrorKind::Io, "committing", "")
                    .with_detail("a blob is still being written")
            })?;
            transaction.commit(&entries).map_err(of_layout)?;
            Ok(Committed::default())
        })
        .await
    }
}
