//! Writing an image.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use cask_image::{Algorithm, Digest, ImageConfig, MAX_CONFIG_BYTES, Manifest, RawManifest};
use cask_layer::MeasuredRead;
use cask_storage::{BlobTurn, Id, NewImage, NewLayer, StageOptions, StagedLayer, Store};
use cask_transport::{
    BlobBody, BlobKind, BlobRead, BlobSpec, Committed, Error, ErrorKind, Have, ManifestRole,
    Measured, Result, Signature, Transaction, blocking,
};

use crate::error::of_storage;

/// An image on its way into a store.
///
/// What was given up may still be running on its thread: it ends at its next read, and what it wrote goes with it.
pub(crate) struct StorageTransaction(Arc<State>);

impl Drop for StorageTransaction {
    fn drop(&mut self) {
        self.0.given_up.store(true, Ordering::Relaxed);
    }
}

/// Whoever drops this waits no more.
struct Wanted(Arc<AtomicBool>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct State {
    store: Store,
    names: Vec<String>,
    /// The ID that the location says.
    id: Option<Id>,
    /// The list that the image was chosen from.
    chosen_from: Option<RawManifest>,
    parts: Mutex<Parts>,
    /// Whether nobody waits any more.
    given_up: AtomicBool,
}

/// A stream that ends with an error once nobody waits for what it becomes.
struct WhileWanted<'s, R> {
    stream: R,
    given_up: &'s AtomicBool,
    /// Others wait for the same.
    turn: Option<&'s BlobTurn>,
}

impl<R: Read> Read for WhileWanted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.given_up.load(Ordering::Relaxed) {
            true => Err(io::Error::other("the copy was given up")),
            false => {
                self.turn.iter().for_each(|turn| turn.progress());
                self.stream.read(buffer)
            }
        }
    }
}

impl<R: MeasuredRead> MeasuredRead for WhileWanted<'_, R> {
    fn algorithm(&self) -> Algorithm {
        self.stream.algorithm()
    }

    fn measured(&self) -> Option<(Digest, u64)> {
        self.stream.measured()
    }
}

/// A blob that was checked while it was read.
struct Checked(BlobRead);

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl MeasuredRead for Checked {
    fn algorithm(&self) -> Algorithm {
        self.0.algorithm()
    }

    fn measured(&self) -> Option<(Digest, u64)> {
        self.0.measured().map(|measured| (measured.digest.clone(), measured.size))
    }
}

#[derive(Default)]
struct Parts {
    /// Layers that were read, by the digest of the plain tar.
    staged: HashMap<Digest, StagedLayer>,
    /// Configs, by digest.
    configs: HashMap<Digest, Vec<u8>>,
    manifest: Option<RawManifest>,
    signatures: Vec<Vec<u8>>,
}

impl StorageTransaction {
    pub(crate) fn new(
        store: Store,
        names: Vec<String>,
        id: Option<Id>,
        chosen_from: Option<RawManifest>,
    ) -> Self {
        let (parts, given_up) = (Mutex::default(), AtomicBool::new(false));
        Self(Arc::new(State { store, names, id, chosen_from, parts, given_up }))
    }

    /// Of several processes that want a layer, one reads it; the others take what it kept.
    async fn write_layer(&self, blob: &BlobSpec, body: BlobBody) -> Result<Measured> {
        let wanted = blob.clone();
        let (turn, present) = self
            .write(move |state| {
                let turn = state.wait_for_turn(&wanted);
                let present = state.take_present(&wanted, turn.as_ref())?;
                Ok((turn, present))
            })
            .await?;
        if let Some(measured) = present {
            return Ok(measured);
        }
        let reader = body.open().await?;
        let blob = blob.clone();
        self.write(move |state| {
            let checked = Checked(reader.into_read());
            state.stage(&blob, checked, turn.as_ref(), |store, stream, options| {
                store.stage_measured_layer(stream, options)
            })
        })
        .await
    }

    /// Runs work on the blocking pool.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&State) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let state = Arc::clone(&self.0);
        blocking(move || work(&state)).await
    }
}

impl State {
    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the content of a layer is in the store, on whatever layers.
    fn has_layer(&self, diff_id: &Digest) -> Result<bool> {
        Ok(!self.store.layers_by_diff_digest(diff_id).map_err(of_storage)?.is_empty())
    }

    fn have(&self, blob: &BlobSpec) -> Result<Have> {
        match (&blob.kind, &blob.measured) {
            (BlobKind::Layer { diff_id: Some(diff_id) }, Some(_)) if self.has_layer(diff_id)? => {
                Ok(Have::Exact)
            }
            _ => Ok(Have::Missing),
        }
    }

    /// Fails where what is missing cannot fit, before anything is read.
    ///
    /// Layers take at least what their blobs do: how much more is not known.
    fn check_room(&self, blobs: &[BlobSpec], have: &[Have]) -> Result<()> {
        let missing = blobs.iter().zip(have).filter(|(_, have)| matches!(have, Have::Missing));
        let needed: u64 = missing.filter_map(|(blob, _)| Some(blob.measured.as_ref()?.size)).sum();
        let Ok(mut available) = self.store.available_bytes() else { return Ok(()) };
        if needed > available {
            // Nothing depends on blobs that are kept, except those that need not come again.
            for kept in self.store.kept_blobs() {
                let is_wanted = |blob: &BlobSpec| {
                    blob.measured.as_ref().is_some_and(|measured| measured.digest == kept.digest)
                };
                if !blobs.iter().any(is_wanted) {
                    let _ = self.store.delete_kept_blob(&kept.digest);
                }
            }
            available = self.store.available_bytes().unwrap_or(available);
        }
        if needed <= available {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Io, "writing to", self.store.graph_root().display())
            .with_detail(format!(
                "no space left on device: the layers take at least {needed} bytes, {available} are available"
            ))
            .with_hint("remove images with rmi or prune, which work on a full disk"))
    }

    /// Waits until nobody else reads the blob. Where nobody can take turns everybody reads.
    fn wait_for_turn(&self, blob: &BlobSpec) -> Option<BlobTurn> {
        let digest = &blob.measured.as_ref()?.digest;
        let is_wanted = || !self.given_up.load(Ordering::Relaxed);
        self.store.wait_for_turn(digest, is_wanted).ok()
    }

    /// Takes what is there already: the layer, since others stored it meanwhile, or its blob, which
    /// they kept.
    fn take_present(&self, blob: &BlobSpec, turn: Option<&BlobTurn>) -> Result<Option<Measured>> {
        let Some(measured) = &blob.measured else { return Ok(None) };
        if self.have(blob)? == Have::Exact {
            return Ok(Some(measured.clone()));
        }
        let Ok(Some(kept)) = self.store.open_kept_blob(&measured.digest) else { return Ok(None) };
        match self
            .stage(blob, kept, turn, |store, stream, options| store.stage_layer(stream, options))
        {
            Ok(measured) => Ok(Some(measured)),
            Err(_) if self.given_up.load(Ordering::Relaxed) => Ok(None),
            Err(_) => {
                // It is read from where it comes from, then.
                let _ = self.store.delete_kept_blob(&measured.digest);
                Ok(None)
            }
        }
    }

    fn stage<'s, S>(
        &'s self,
        blob: &BlobSpec,
        stream: S,
        turn: Option<&'s BlobTurn>,
        stage: impl FnOnce(
            &Store,
            WhileWanted<'s, S>,
            &StageOptions,
        ) -> cask_storage::Result<StagedLayer>,
    ) -> Result<Measured> {
        let mut options = StageOptions::default();
        options.blob_digest = blob.measured.as_ref().map(|measured| measured.digest.clone());
        options.blob_size_bytes = blob.measured.as_ref().map(|measured| measured.size);
        if let BlobKind::Layer { diff_id } = &blob.kind {
            options.diff_digest.clone_from(diff_id);
        }
        let stream = WhileWanted { stream, given_up: &self.given_up, turn };
        let staged = stage(&self.store, stream, &options).map_err(|error| {
            let error = of_storage(error);
            // Attestations and artifacts have layers that are none.
            match error.kind() == ErrorKind::Corrupt
                && blob.media_type.layer_compression().is_none()
            {
                true => {
                    Error::new(ErrorKind::Unsupported, "writing blob of type", &blob.media_type)
                        .with_detail("a store holds layers of files, and this is none")
                        .with_source(error)
                }
                false => error,
            }
        })?;
        let measured =
            Measured { digest: staged.blob_digest().clone(), size: staged.blob_size_bytes() };
        self.parts().staged.insert(staged.diff_digest().clone(), staged);
        Ok(measured)
    }

    fn commit(self, unwanted: Arc<AtomicBool>) -> Result<Committed> {
        let parts = self.parts.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Parts { mut staged, configs, manifest, signatures } = parts;
        let wrong = |detail: &str| {
            Error::new(ErrorKind::Corrupt, "committing", "").with_detail(detail.to_owned())
        };
        let raw = manifest.ok_or_else(|| wrong("no top manifest was written"))?;
        let Ok(Manifest::Image(manifest)) = raw.parse() else {
            return Err(wrong("the top manifest is not that of one image"));
        };
        let config = configs
            .get(&manifest.config.digest)
            .ok_or_else(|| wrong("the config of the image was not written"))?;
        let parsed = ImageConfig::parse(config.clone()).map_err(|error| {
            Error::new(ErrorKind::Corrupt, "reading config", &manifest.config.digest)
                .with_source(error)
        })?;
        let mut image = NewImage::of_manifest(&raw, config).map_err(of_storage)?;
        if let Some(id) = self.id.filter(|id| *id != image.id) {
            return Err(Error::new(ErrorKind::Unsupported, "writing image", &id).with_detail(
                format!("the ID of an image follows from its config, and is {}", image.id),
            ));
        }
        image.names.clone_from(&self.names);
        image.given_up = Some(unwanted);
        if let Some(list) = &self.chosen_from {
            image.add_index(list);
            // That is what it was asked for by.
            image.digest = Some(list.digest().clone());
        }
        image.add_signatures(raw.digest(), &signatures);
        let store = self.store;
        let mut relied_on = Vec::new();
        let committed =
            take_layers(&store, &parsed.diff_ids, &mut staged, &mut image, &mut relied_on)
                .and_then(|()| store.commit_image(image).map_err(of_storage));
        committed.map_err(|error| changed(&store, &relied_on, error))?;
        let warnings = store.take_warnings();
        let mut committed = Committed::default();
        committed.warnings = warnings.iter().map(ToString::to_string).collect();
        Ok(committed)
    }
}

/// Gives an image its layers: those that the store has, those that were read, and those that the store has on other
/// layers. `relied_on` becomes what must not be deleted meanwhile.
fn take_layers(
    store: &Store,
    diff_ids: &[Digest],
    staged: &mut HashMap<Digest, StagedLayer>,
    image: &mut NewImage,
    relied_on: &mut Vec<Digest>,
) -> Result<()> {
    let mut rest = diff_ids;
    for id in Id::of_layers(diff_ids) {
        let Some((diff_id, behind)) = rest.split_first() else { break };
        rest = behind;
        let is_last = !rest.contains(diff_id);
        let layer = match (store.layer(&id).map_err(of_storage)?, staged.get(diff_id)) {
            (Some(_), _) => {
                relied_on.push(diff_id.clone());
                NewLayer::Present(id)
            }
            (None, Some(layer)) if !is_last => {
                NewLayer::Staged(store.stage_twin(layer).map_err(of_storage)?)
            }
            (None, Some(_)) => NewLayer::Staged(staged.remove(diff_id).expect("it was there")),
            (None, None) => {
                relied_on.push(diff_id.clone());
                NewLayer::Staged(again(store, diff_id)?)
            }
        };
        image.layers.push(layer);
    }
    Ok(())
}

/// Says of an error that it came of a layer that somebody deleted, where that is so.
fn changed(store: &Store, relied_on: &[Digest], error: Error) -> Error {
    let is_gone = |diff_id: &Digest| {
        store.layers_by_diff_digest(diff_id).is_ok_and(|layers| layers.is_empty())
    };
    match relied_on.iter().find(|diff_id| is_gone(diff_id)) {
        Some(gone) => Error::new(ErrorKind::Changed, "committing", gone)
            .with_detail("somebody deleted the layer meanwhile")
            .with_hint("try again")
            .with_source(error),
        None => error,
    }
}

/// Reads a layer once more that the store has on other layers.
fn again(store: &Store, diff_id: &Digest) -> Result<StagedLayer> {
    let others = store.layers_by_diff_digest(diff_id).map_err(of_storage)?;
    let Some(other) = others.first() else {
        return Err(Error::new(ErrorKind::Corrupt, "committing", diff_id)
            .with_detail("the layer was not written, or was deleted meanwhile"));
    };
    store.stage_again(&other.id).map_err(of_storage)
}

#[async_trait]
impl Transaction for StorageTransaction {
    async fn have(&self, blobs: &[BlobSpec]) -> Result<Vec<Have>> {
        let blobs = blobs.to_vec();
        self.write(move |state| {
            let have = blobs.iter().map(|blob| state.have(blob)).collect::<Result<Vec<_>>>()?;
            state.check_room(&blobs, &have)?;
            Ok(have)
        })
        .await
    }

    async fn write_blob(&self, blob: &BlobSpec, body: BlobBody) -> Result<Measured> {
        if matches!(blob.kind, BlobKind::Layer { .. }) {
            return self.write_layer(blob, body).await;
        }
        let reader = body.open().await?;
        let bytes = reader.read_all(MAX_CONFIG_BYTES).await?;
        let algorithm = blob.measured.as_ref().map(|measured| measured.digest.algorithm());
        let algorithm = algorithm.unwrap_or(cask_image::Algorithm::Sha256);
        let digest = cask_image::Hasher::digest(algorithm, &bytes);
        let measured = Measured { digest: digest.clone(), size: bytes.len() as u64 };
        measured.expect(blob.measured.as_ref())?;
        self.0.parts().configs.insert(digest, bytes.to_vec());
        Ok(measured)
    }

    async fn write_manifest(&self, manifest: &RawManifest, role: &ManifestRole) -> Result<()> {
        let unsupported = |detail: &'static str| {
            Err(Error::new(ErrorKind::Unsupported, "writing manifest", manifest.digest())
                .with_detail(detail))
        };
        if manifest.media_type().is_index() {
            return unsupported("a store holds images, each by itself, and no lists of them");
        }
        if matches!(manifest.parse(), Ok(Manifest::Image(image)) if image.is_artifact()) {
            return unsupported("a store holds images, and this is an artifact");
        }
        if *role == ManifestRole::Top {
            self.0.parts().manifest = Some(manifest.clone());
        }
        Ok(())
    }

    async fn write_signatures(
        &self,
        manifest: &RawManifest,
        signatures: &[Signature],
    ) -> Result<()> {
        let mut parts = self.0.parts();
        if parts.manifest.as_ref().is_some_and(|top| top.digest() == manifest.digest()) {
            parts.signatures = signatures.iter().map(|one| one.bytes.to_vec()).collect();
        }
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<Committed> {
        let state = Arc::clone(&self.0);
        drop(self);
        let wanted = Wanted(Arc::default());
        let unwanted = Arc::clone(&wanted.0);
        blocking(move || {
            // A write that was given up may still be running on its thread.
            let state = Arc::try_unwrap(state).map_err(|_| {
                Error::new(ErrorKind::Io, "committing", "")
                    .with_detail("a blob is still being written")
            })?;
            state.commit(unwanted)
        })
        .await
    }
}
