//! Writing: what the seam promises, and what the store refuses.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use cask_image::{Algorithm, Descriptor, Digest, ImageManifest, Manifest, RawManifest};
use cask_transport::{
    BlobBody, BlobKind, BlobSpec, Capabilities, Committed, Error, ErrorKind, Have, LayerForm,
    ManifestRole, Measured, Result, Signature, Transaction, WriteOptions,
};

use super::behaviour::Failure;
use super::call::Call;
use super::location::MemoryLocation;
use super::shelf::{Held, Shelf};
use super::writing;
use crate::generate::Blob;

/// An image on its way to a shelf.
pub(super) struct MemoryTransaction {
    pub(super) location: MemoryLocation,
    capabilities: Capabilities,
    names: Vec<String>,
    staged: Mutex<Staged>,
}

/// What was written, and how far the calls have come.
#[derive(Default)]
struct Staged {
    shelf: Shelf,
    top: Option<Descriptor>,
    /// What [`Transaction::have`] was asked, until it was.
    asked: Option<Vec<BlobSpec>>,
    /// How many blobs are being written.
    running: usize,
    /// The place in `asked` of the last blob that began, where order counts.
    last: Option<usize>,
    blobs_begun: usize,
    manifests_begun: usize,
    is_committed: bool,
}

/// An error that says which promise of the seam the caller has broken.
fn misuse(what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Corrupt, "checking the order of calls", "").with_detail(what)
}

impl MemoryTransaction {
    pub(super) fn begin(
        location: MemoryLocation,
        capabilities: Capabilities,
        options: &WriteOptions,
    ) -> Self {
        let more = options.additional_names.iter().map(ToString::to_string);
        let names = location.name.iter().cloned().chain(more).collect();
        Self { location, capabilities, names, staged: Mutex::default() }
    }

    fn staged(&self) -> MutexGuard<'_, Staged> {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self, call: Call) {
        self.location.store.call(call);
    }

    /// What the store has of a blob.
    fn answer(&self, spec: &BlobSpec) -> Have {
        let state = self.location.store.state();
        let diff_id = match &spec.kind {
            BlobKind::Layer { diff_id } => diff_id.as_ref(),
            _ => None,
        };
        let digest = spec.measured.as_ref().map(|measured| &measured.digest);
        if let Some(told) = digest.or(diff_id).and_then(|key| state.behaviour.have.get(key)) {
            return told.clone();
        }
        let reuse = state.behaviour.reuse;
        let own = state.shelves.get(&self.location.shelf);
        if let (true, Some(digest)) = (reuse.exact, digest)
            && own.is_some_and(|shelf| shelf.blobs.contains_key(digest))
        {
            return Have::Exact;
        }
        if let (true, Some(digest)) = (reuse.mounted, digest) {
            let holds = |shelf: &&Shelf| shelf.blobs.contains_key(digest);
            let other = state.shelves.iter().find(|(_, shelf)| holds(shelf));
            if let Some((name, _)) = other {
                return Have::Mountable { from: name.clone() };
            }
        }
        if let (true, Some(diff_id)) = (reuse.equivalent, diff_id)
            && let Some(found) = own.and_then(|shelf| shelf.by_diff_id.get(diff_id)?.first())
        {
            return Have::Equivalent(Box::new(found.clone()));
        }
        Have::Missing
    }

    /// Counts a blob that begins to be written, and checks that it may.
    fn begin_blob(&self, spec: &BlobSpec) -> Result<usize> {
        let limit = self.capabilities.concurrent_blobs.get();
        let mut staged = self.staged();
        let place = staged.asked.as_ref().and_then(|asked| asked.iter().position(|a| a == spec));
        if staged.asked.is_none() {
            return Err(misuse("a blob is written before it was asked what is there"));
        }
        if staged.manifests_begun == 0 && place.is_none() {
            return Err(misuse(format!("a blob is written that was not asked for: {spec:?}")));
        }
        if staged.running == limit {
            return Err(misuse(format!("more than {limit} blobs are written at once")));
        }
        if limit == 1 && place.is_some() && place <= staged.last {
            return Err(misuse("blobs are written in another order than they were asked for"));
        }
        staged.last = place;
        staged.running += 1;
        staged.blobs_begun += 1;
        Ok(staged.blobs_begun - 1)
    }

    fn keep_blob(&self, spec: &BlobSpec, measured: &Measured, bytes: Vec<u8>) {
        let descriptor =
            Descriptor::new(spec.media_type.clone(), measured.digest.clone(), measured.size);
        let mut staged = self.staged();
        if let BlobKind::Layer { diff_id: Some(diff_id) } = &spec.kind {
            let known = staged.shelf.by_diff_id.entry(diff_id.clone()).or_default();
            known.push(descriptor.clone());
        }
        let blob = Blob { descriptor, bytes: bytes.into() };
        staged.shelf.blobs.insert(measured.digest.clone(), blob);
    }

    /// Refuses what the capabilities exclude.
    fn check_manifest(&self, manifest: &RawManifest, parsed: &Manifest) -> Result<()> {
        let Capabilities { manifest_types, index_types, .. } = &self.capabilities;
        let unsupported = |detail: String| {
            Err(Error::new(ErrorKind::Unsupported, "writing manifest", manifest.digest())
                .with_detail(detail))
        };
        let media_type = manifest.media_type();
        let types = if media_type.is_index() { index_types } else { manifest_types };
        if !types.contains(media_type) {
            return unsupported(format!("{media_type} cannot be held"));
        }
        match parsed {
            Manifest::Index(index) => {
                let nested = index.manifests.iter().any(|entry| entry.media_type.is_index());
                if nested && !self.capabilities.nested_indexes {
                    return unsupported("an index in an index cannot be held".into());
                }
            }
            Manifest::Image(image) if image.is_artifact() && !self.capabilities.artifacts => {
                return unsupported("artifacts cannot be held".into());
            }
            _ => {}
        }
        Ok(())
    }

    /// The manifest as it is kept: where the bytes are not kept, one is made anew.
    fn kept(&self, manifest: &RawManifest, parsed: &Manifest) -> RawManifest {
        match parsed {
            Manifest::Image(image) if !self.capabilities.keeps_manifests => {
                ImageManifest::new(image.format, image.config.clone(), image.layers.clone())
                    .encode()
            }
            _ => manifest.clone(),
        }
    }

    /// Refuses an image of which something is missing. Entries of an index may be: it is sparse
    /// then.
    fn check_complete(&self, staged: &Staged, shelf: Option<&Shelf>) -> Result<()> {
        let held = |digest: &Digest| {
            let own = shelf.is_some_and(|shelf| shelf.blobs.contains_key(digest));
            own || staged.shelf.blobs.contains_key(digest)
        };
        let missing = |manifest: &Blob, digest: &Digest| {
            Err(Error::new(ErrorKind::Corrupt, "committing manifest", manifest.digest())
                .with_detail(format!("it names {digest}, which was not written")))
        };
        for manifest in staged.shelf.manifests.values() {
            match writing::parse(manifest)? {
                Manifest::Image(image) => {
                    for blob in std::iter::once(&image.config).chain(&image.layers) {
                        let elsewhere = self.capabilities.foreign_layers
                            && blob.media_type.is_nondistributable_layer()
                            && !blob.urls.is_empty();
                        if !held(&blob.digest) && !elsewhere {
                            return missing(manifest, &blob.digest);
                        }
                    }
                }
                Manifest::Schema1(schema1) => {
                    let mut layers = schema1.layers.iter();
                    if let Some(layer) = layers.find(|layer| !held(&layer.digest)) {
                        return missing(manifest, &layer.digest);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Transaction for MemoryTransaction {
    async fn holds(&self, manifest: &Descriptor, role: &ManifestRole) -> Result<bool> {
        self.call(Call::Holds(manifest.digest.clone()));
        let state = self.location.store.state();
        let shelf =
            state.shelves.get(&self.location.shelf).filter(|_| state.behaviour.reuse.manifests);
        let Some(shelf) = shelf else { return Ok(false) };
        Ok(match role {
            ManifestRole::Top => {
                let held = |held: &Held| {
                    held.top.digest == manifest.digest
                        && self.names.iter().all(|name| held.names.contains(name))
                };
                shelf.entries.iter().any(held)
            }
            _ => shelf.manifests.contains_key(&manifest.digest),
        })
    }

    async fn have(&self, blobs: &[BlobSpec]) -> Result<Vec<Have>> {
        self.call(Call::Have(blobs.len()));
        self.location.store.fail(Failure::Have, "asking what is there")?;
        let was_asked = self.staged().asked.replace(blobs.to_vec()).is_some();
        if was_asked && !self.capabilities.tells_freely {
            return Err(misuse("it was asked twice what is there"));
        }
        Ok(blobs.iter().map(|spec| self.answer(spec)).collect())
    }

    async fn write_blob(&self, spec: &BlobSpec, body: BlobBody) -> Result<Measured> {
        self.call(Call::WriteBlob(spec.measured.as_ref().map(|known| known.digest.clone())));
        let number = self.begin_blob(spec)?;
        let running = Running(self);
        let behaviour = self.location.store.state().behaviour.clone();
        let fails = self.location.store.fail(Failure::Blob(number), "writing blob");
        let algorithm = spec.measured.as_ref().map_or(Algorithm::Sha256, |m| m.digest.algorithm());
        let (measured, bytes) = writing::read(&body, algorithm, &behaviour, fails).await?;
        if let Some(promised) = &spec.measured
            && promised.digest.algorithm() == measured.digest.algorithm()
            && *promised != measured
        {
            return Err(misuse(format!("{promised:?} was promised, {measured:?} came")));
        }
        let is_layer = matches!(spec.kind, BlobKind::Layer { .. });
        if is_layer
            && self.capabilities.layer_form == LayerForm::Uncompressed
            && writing::is_compressed(&bytes)
        {
            return Err(Error::new(ErrorKind::Unsupported, "writing blob", &measured.digest)
                .with_detail("layers have to be plain"));
        }
        self.keep_blob(spec, &measured, bytes);
        drop(running);
        Ok(measured)
    }

    async fn mount(&self, spec: &BlobSpec, from: &str) -> Result<bool> {
        let Some(Measured { digest, .. }) = &spec.measured else { return Ok(false) };
        self.call(Call::Mount(digest.clone()));
        let found = {
            let state = self.location.store.state();
            let shelf = state.shelves.get(from).filter(|_| !state.behaviour.mounts_fail);
            shelf.and_then(|shelf| shelf.blobs.get(digest)).cloned()
        };
        let Some(blob) = found else { return Ok(false) };
        self.staged().shelf.blobs.insert(digest.clone(), blob);
        Ok(true)
    }

    async fn write_manifest(&self, manifest: &RawManifest, role: &ManifestRole) -> Result<()> {
        let (digest, media_type) = (manifest.digest().clone(), manifest.media_type().clone());
        let role = role.clone();
        self.call(Call::WriteManifest {
            digest,
            media_type: media_type.clone(),
            role: role.clone(),
        });
        let number = {
            let mut staged = self.staged();
            if staged.running > 0 {
                return Err(misuse("a manifest is written while blobs still are"));
            }
            staged.manifests_begun += 1;
            staged.manifests_begun - 1
        };
        self.location.store.fail(Failure::Manifest(number), "writing manifest")?;
        if self.location.store.state().behaviour.refused_types.contains(&media_type) {
            return Err(Error::new(ErrorKind::ManifestRefused, "writing manifest", "")
                .with_detail(format!("manifest invalid: {media_type} is unknown here")));
        }
        let parsed = writing::parse_raw(manifest)?;
        self.check_manifest(manifest, &parsed)?;
        let kept = self.kept(manifest, &parsed);
        let mut staged = self.staged();
        if role == ManifestRole::Top && staged.top.replace(kept.descriptor()).is_some() {
            return Err(misuse("there are two tops"));
        }
        let blob = Blob { descriptor: kept.descriptor(), bytes: kept.bytes().clone() };
        staged.shelf.manifests.insert(kept.digest().clone(), blob);
        Ok(())
    }

    async fn write_signatures(
        &self,
        manifest: &RawManifest,
        signatures: &[Signature],
    ) -> Result<()> {
        self.call(Call::WriteSignatures(manifest.digest().clone()));
        self.location.store.fail(Failure::Signatures, "writing signatures")?;
        if !self.capabilities.signatures {
            return Err(Error::new(ErrorKind::Unsupported, "storing signatures of", "")
                .with_detail("this transport stores no signatures"));
        }
        let mut staged = self.staged();
        if !staged.shelf.manifests.contains_key(manifest.digest()) {
            return Err(misuse("signatures come before their manifest"));
        }
        staged.shelf.signatures.insert(manifest.digest().clone(), signatures.to_vec());
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<Committed> {
        self.call(Call::Commit);
        let mut staged = std::mem::take(&mut *self.staged());
        self.staged().is_committed = true;
        self.location.store.fail(Failure::Commit, "committing")?;
        self.location.store.fail(Failure::Changed, "committing")?;
        let Some(top) = staged.top.take() else {
            return Err(misuse("there is no top manifest"));
        };
        let mut state = self.location.store.state();
        self.check_complete(&staged, state.shelves.get(&self.location.shelf))?;
        let committed = state.behaviour.warnings.clone();
        let shelf = state.shelf(&self.location.shelf);
        let Shelf { manifests, blobs, signatures, by_diff_id, .. } = staged.shelf;
        shelf.manifests.extend(manifests);
        shelf.blobs.extend(blobs);
        shelf.signatures.extend(signatures);
        for (diff_id, descriptors) in by_diff_id {
            shelf.by_diff_id.entry(diff_id).or_default().extend(descriptors);
        }
        shelf.name(self.names.clone(), top);
        let mut done = Committed::default();
        done.warnings = committed;
        Ok(done)
    }
}

/// A blob that is being written, until it is or the writing is given up.
struct Running<'t>(&'t MemoryTransaction);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.staged().running -= 1;
    }
}

impl Drop for MemoryTransaction {
    fn drop(&mut self) {
        if !self.staged().is_committed {
            self.call(Call::Drop);
        }
    }
}
