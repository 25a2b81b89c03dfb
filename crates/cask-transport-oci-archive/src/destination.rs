//! Writing an image.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use cask_archive::{ArchiveWriter, Durability, ErrorKind as TarKind, Slot};
use cask_image::{Algorithm, Descriptor, Digest, MediaType, RawManifest};
use cask_layout::{Content as _, IndexDocument, ReferenceName};
use cask_layout_seam::{describe_referrer, of_layout};
use cask_transport::{
    BlobBody, BlobReader, BlobSpec, Committed, Error, ErrorKind, Have, ManifestRole, Measured,
    Result, Transaction, blocking,
};

use crate::archive::{INDEX, MARKER, OciArchive, blob_member};
use crate::edit::Place;
use crate::error::{of_io, of_tar};

/// An image on its way into an archive.
pub(crate) struct OciArchiveTransaction {
    state: Arc<State>,
    durability: Durability,
}

struct State {
    writer: ArchiveWriter,
    name: Option<ReferenceName>,
    /// The archive that is added to.
    old: Option<OciArchive>,
    parts: Mutex<Parts>,
}

struct Parts {
    /// Blobs that have their place in the archive, and no bytes yet.
    reserved: Vec<(BlobSpec, Slot)>,
    index: IndexDocument,
    top: Option<Descriptor>,
    referrers: Vec<Descriptor>,
}

impl OciArchiveTransaction {
    /// Begins an archive of its own.
    pub(crate) fn new(
        writer: ArchiveWriter,
        name: Option<ReferenceName>,
        durability: Durability,
    ) -> Self {
        let index = IndexDocument::empty();
        Self::with_index(writer, name, durability, index, None)
    }

    /// Begins with everything that an archive has.
    pub(crate) fn extend(place: &Place, name: Option<ReferenceName>) -> Result<Self> {
        let locked = place.lock()?;
        let (index, old) = (locked.index.clone(), locked.archive.clone());
        let writer = locked.begin(&place.write, |_| true)?;
        Ok(Self::with_index(writer, name, place.durability, index, Some(old)))
    }

    fn with_index(
        writer: ArchiveWriter,
        name: Option<ReferenceName>,
        durability: Durability,
        index: IndexDocument,
        old: Option<OciArchive>,
    ) -> Self {
        let parts = Parts { reserved: Vec::new(), index, top: None, referrers: Vec::new() };
        let state = State { writer, name, old, parts: Mutex::new(parts) };
        Self { state: Arc::new(state), durability }
    }

    /// Runs work on the blocking pool.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&State) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let state = Arc::clone(&self.state);
        blocking(move || work(&state)).await
    }
}

impl State {
    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the archive has a blob; if not, gives it its place.
    fn have(&self, blob: &BlobSpec) -> Result<Have> {
        if let (Some(old), Some(Measured { digest, size })) = (&self.old, &blob.measured)
            && old.holds(digest, *size)?
        {
            return Ok(Have::Exact);
        }
        // A layer that may be fetched from elsewhere may be left out.
        if !blob.media_type.is_nondistributable_layer()
            && let Some(slot) = self.reserve(blob)?
        {
            self.parts().reserved.push((blob.clone(), slot));
        }
        Ok(Have::Missing)
    }

    /// Begins a blob; nothing if it was begun before, under another type.
    fn reserve(&self, blob: &BlobSpec) -> Result<Option<Slot>> {
        let algorithm = match &blob.measured {
            Some(measured) => measured.digest.algorithm(),
            None => Algorithm::Sha256,
        };
        self.make_directory(algorithm)?;
        let slot = match &blob.measured {
            Some(Measured { digest, size }) => self.writer.reserve(&blob_member(digest), *size),
            None => self.writer.reserve_unsized(None),
        };
        match slot {
            Err(error) if error.kind() == TarKind::Duplicate => Ok(None),
            slot => slot.map(Some).map_err(of_tar),
        }
    }

    fn make_directory(&self, algorithm: Algorithm) -> Result<()> {
        self.writer.directory("blobs").map_err(of_tar)?;
        self.writer.directory(&format!("blobs/{algorithm}")).map_err(of_tar)
    }

    fn write_blob(&self, blob: &BlobSpec, reader: BlobReader) -> Result<Measured> {
        let reserved = {
            let mut parts = self.parts();
            let position = parts.reserved.iter().position(|(spec, _)| spec == blob);
            position.map(|position| parts.reserved.remove(position).1)
        };
        let slot = match reserved {
            Some(slot) => Some(slot),
            None => self.reserve(blob)?,
        };
        let expected = blob.measured.as_ref();
        let Some(mut slot) = slot else {
            // Another task writes these bytes; they are read all the same, to be checked.
            let measured = reader.into_read().finish()?;
            measured.expect(expected)?;
            return Ok(measured);
        };
        let subject = expected.map(|expected| expected.digest.to_string()).unwrap_or_default();
        let copied = slot.restart().map_err(of_tar).and_then(|()| {
            let failed = |error| of_io(error, "writing blob", &subject);
            let measured = reader.into_read().copy_to(&mut slot, failed)?;
            measured.expect(expected)?;
            Ok(measured)
        });
        match copied {
            Ok(measured) => {
                self.finish(slot, &measured.digest, expected.is_some())?;
                Ok(measured)
            }
            Err(error) => {
                // Its place stays, so that it can be tried again.
                self.parts().reserved.push((blob.clone(), slot));
                Err(error)
            }
        }
    }

    fn finish(&self, slot: Slot, digest: &Digest, is_named: bool) -> Result<()> {
        if is_named {
            return slot.finish().map_err(of_tar);
        }
        let member = blob_member(digest);
        match slot.finish_as(&member) {
            // What was made on the way turned out to be there already.
            Err(error) if error.kind() == TarKind::Duplicate => match &self.old {
                Some(old) => self.compare_with_old(old, digest),
                None => Ok(()),
            },
            finished => finished.map_err(of_tar),
        }
    }

    fn compare_with_old(&self, old: &OciArchive, digest: &Digest) -> Result<()> {
        match old.blob_size(digest)? {
            Some(size) => old.holds(digest, size).map(drop),
            None => Ok(()),
        }
    }

    fn write_manifest(&self, manifest: &RawManifest, role: &ManifestRole) -> Result<()> {
        if !matches!(manifest.media_type(), MediaType::OciManifest | MediaType::OciIndex) {
            let subject = manifest.digest();
            let media_type = manifest.media_type();
            return Err(Error::new(ErrorKind::ManifestRefused, "writing manifest", subject)
                .with_detail(format!(
                    "an OCI archive holds OCI manifests and indexes, not {media_type}"
                )));
        }
        self.put_blob(manifest.digest(), manifest.bytes())?;
        let mut parts = self.parts();
        match role {
            ManifestRole::Top => parts.top = Some(manifest.descriptor()),
            // Readers look for referrers in the index.
            ManifestRole::Referrer => parts.referrers.push(describe_referrer(manifest)),
            _ => {}
        }
        Ok(())
    }

    fn put_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        self.make_directory(digest.algorithm())?;
        match self.writer.append_bytes(&blob_member(digest), bytes) {
            Err(error) if error.kind() == TarKind::Duplicate => match &self.old {
                Some(old) => self.compare_with_old(old, digest),
                None => Ok(()),
            },
            written => written.map_err(of_tar),
        }
    }

    /// Writes what lists the image, and completes the archive.
    fn commit(self, durability: Durability) -> Result<()> {
        let parts = self.parts.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Some(top) = parts.top else {
            return Err(Error::new(ErrorKind::Corrupt, "committing", "")
                .with_detail("no top manifest was written"));
        };
        if let Some((spec, _)) = parts.reserved.first() {
            let digest = spec.measured.as_ref().map(|measured| measured.digest.to_string());
            let subject = digest.unwrap_or_else(|| spec.media_type.to_string());
            return Err(Error::new(ErrorKind::Corrupt, "committing", subject)
                .with_detail("the blob was announced and not written"));
        }
        let mut index = parts.index;
        index.add(&top, self.name.as_ref()).map_err(of_layout)?;
        for referrer in parts.referrers {
            index.add(&referrer, None).map_err(of_layout)?;
        }
        let bytes = index.encode(INDEX).map_err(of_layout)?;
        self.writer.append_bytes(INDEX, &bytes).map_err(of_tar)?;
        if !self.writer.contains(MARKER.0) {
            self.writer.append_bytes(MARKER.0, MARKER.1).map_err(of_tar)?;
        }
        self.writer.finish(durability).map_err(of_tar)?;
        Ok(())
    }
}

#[async_trait]
impl Transaction for OciArchiveTransaction {
    async fn have(&self, blobs: &[BlobSpec]) -> Result<Vec<Have>> {
        let blobs = blobs.to_vec();
        self.write(move |state| blobs.iter().map(|blob| state.have(blob)).collect()).await
    }

    async fn write_blob(&self, blob: &BlobSpec, body: BlobBody) -> Result<Measured> {
        let reader = body.open().await?;
        let blob = blob.clone();
        self.write(move |state| state.write_blob(&blob, reader)).await
    }

    async fn write_manifest(&self, manifest: &RawManifest, role: &ManifestRole) -> Result<()> {
        let (manifest, role) = (manifest.clone(), role.clone());
        self.write(move |state| state.write_manifest(&manifest, &role)).await
    }

    async fn commit(self: Box<Self>) -> Result<Committed> {
        let (state, durability) = (self.state, self.durability);
        blocking(move || {
            // A write that was given up may still be running on its thread.
            let state = Arc::try_unwrap(state).map_err(|_| {
                Error::new(ErrorKind::Io, "committing", "")
                    .with_detail("a blob is still being written")
            })?;
            state.commit(durability)?;
            Ok(Committed::default())
        })
        .await
    }
}
