//! Writing an image.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use cask_archive::Durability;
use cask_docker_tar::{DockerArchiveWriter, LayerWriter, Layout};
use cask_image::{
    Descriptor, Digest, Hasher, ImageConfig, ImageFormat, ImageManifest, LayerCompression,
    MAX_CONFIG_BYTES, Manifest, MediaType, RawManifest,
};
use cask_reference::Reference;
use cask_transport::{
    BlobBody, BlobKind, BlobReader, BlobSpec, Committed, Error, ErrorKind, Have, ManifestRole,
    Measured, Result, Transaction, blocking,
};

use crate::error::{of_docker_tar, of_io};

/// An image on its way into an archive.
///
/// Layers get their places when they are asked about, so that the bytes do not depend on which is
/// written first. The commit completes the archive, and for one in a file makes it visible.
pub struct DockerTarTransaction {
    state: Arc<State>,
    durability: Durability,
}

struct State {
    writer: DockerArchiveWriter,
    /// What the capabilities said. An archive that is added to may have another one.
    layout: Layout,
    /// Layers stay as they are given, under their DiffIDs.
    keeps_compression: bool,
    names: Vec<Reference>,
    parts: Mutex<Parts>,
}

#[derive(Default)]
struct Parts {
    /// Layers that have their place in the archive, and no bytes yet.
    reserved: Vec<(BlobSpec, LayerWriter)>,
    /// Where layers stay as they are given: the DiffIDs of those that were written.
    diff_ids: HashMap<Digest, Digest>,
    configs: HashMap<Digest, Bytes>,
    has_image: bool,
}

impl DockerTarTransaction {
    /// Writes one image with these names. `layout` is what the location's capabilities say; an
    /// archive that is added to may have another.
    pub fn new(
        writer: DockerArchiveWriter,
        layout: Layout,
        names: Vec<Reference>,
        durability: Durability,
    ) -> Self {
        let parts = Mutex::default();
        let state = State { writer, layout, keeps_compression: false, names, parts };
        Self { state: Arc::new(state), durability }
    }

    /// The same, but in the classic layout with layers as they are given, compressed or not. They
    /// have the names of plain ones. Docker's daemon, podman and skopeo read such archives, and
    /// check what comes out of the layers; that is not done here.
    #[must_use]
    pub fn new_keeping_compression(
        writer: DockerArchiveWriter,
        names: Vec<Reference>,
        durability: Durability,
    ) -> Self {
        let (layout, parts) = (Layout::Classic, Mutex::default());
        let state = State { writer, layout, keeps_compression: true, names, parts };
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

    /// Whether the archive has a blob; if not, gives a layer its place.
    fn have(&self, blob: &BlobSpec) -> Result<Have> {
        if !matches!(blob.kind, BlobKind::Layer { .. }) {
            return Ok(Have::Missing);
        }
        let digest = self.stored_digest(blob)?;
        if let Some(digest) = &digest
            && self.writer.has_layer(digest).map_err(of_docker_tar)?
        {
            return Ok(self.what_is_there(blob, digest));
        }
        if let Some(layer) = self.reserve(blob, digest.as_ref())? {
            self.parts().reserved.push((blob.clone(), layer));
        }
        Ok(Have::Missing)
    }

    /// What a layer is to the copy that the archive holds.
    fn what_is_there(&self, blob: &BlobSpec, digest: &Digest) -> Have {
        // Two blobs of one image may be the same layer: then the other one is on its way.
        let Some(size) = self.writer.layer_size(digest) else { return Have::Missing };
        match &blob.measured {
            Some(measured) if self.keeps_compression => {
                let is_there = self.parts().diff_ids.get(&measured.digest) == Some(digest);
                if is_there { Have::Exact } else { Have::Missing }
            }
            Some(measured) if measured.digest == *digest => Have::Exact,
            None if !self.keeps_compression && self.layout == Layout::Classic => {
                let media_type = MediaType::DockerLayer(LayerCompression::None);
                let layer = Descriptor::new(media_type, digest.clone(), size);
                Have::Equivalent(Box::new(layer))
            }
            _ => Have::Missing,
        }
    }

    /// The digest that a layer has its name by, if that is known: the one that its bytes will
    /// have in the archive, or the DiffID where compression stays.
    fn stored_digest(&self, blob: &BlobSpec) -> Result<Option<Digest>> {
        let BlobKind::Layer { diff_id } = &blob.kind else { return Ok(None) };
        let measured = blob.measured.as_ref().map(|measured| &measured.digest);
        let is_plain = blob.media_type.layer_compression() == Some(LayerCompression::None);
        match (self.layout, diff_id, measured) {
            (Layout::Hybrid, _, Some(digest)) => Ok(Some(digest.clone())),
            (Layout::Hybrid, Some(diff_id), None) if is_plain => Ok(Some(diff_id.clone())),
            (Layout::Hybrid, _, None) => Ok(None),
            (_, Some(diff_id), _) if self.keeps_compression => Ok(Some(diff_id.clone())),
            (_, None, _) if self.keeps_compression && !is_plain => Err(unsupported("a layer")
                .with_detail("its DiffID is not known, by which a docker archive names layers")),
            (_, Some(diff_id), Some(digest)) if diff_id != digest => Err(unsupported(digest)
                .with_detail("a docker archive holds plain layers, under their DiffIDs")),
            (_, Some(digest), _) | (_, None, Some(digest)) => Ok(Some(digest.clone())),
            (_, None, None) => Err(unsupported("a layer")
                .with_detail("its DiffID is not known, by which a docker archive names layers")),
        }
    }

    /// Begins a layer; nothing if the archive has it, or another task writes it.
    fn reserve(&self, blob: &BlobSpec, digest: Option<&Digest>) -> Result<Option<LayerWriter>> {
        let size = blob.measured.as_ref().map(|measured| measured.size);
        let layer = match digest {
            Some(digest) if self.writer.has_layer(digest).map_err(of_docker_tar)? => {
                return Ok(None);
            }
            Some(digest) => self.writer.begin_layer(digest, size),
            None => self.writer.begin_unnamed_layer(),
        };
        // The reader of the bytes hashes them already.
        Ok(Some(layer.map_err(of_docker_tar)?.danger_without_hashing()))
    }

    fn write_layer(&self, blob: &BlobSpec, reader: BlobReader) -> Result<Measured> {
        let digest = self.stored_digest(blob)?;
        let reserved = {
            let mut parts = self.parts();
            let position = parts.reserved.iter().position(|(spec, _)| spec == blob);
            position.map(|position| parts.reserved.remove(position).1)
        };
        let layer = match reserved {
            Some(layer) => Some(layer),
            None => self.reserve(blob, digest.as_ref())?,
        };
        let Some(mut layer) = layer else {
            // The archive has these bytes; they are read all the same, to be checked.
            let measured = reader.into_read().finish()?;
            return self.written(blob, digest.as_ref(), measured);
        };
        let subject = digest.as_ref().map(Digest::to_string).unwrap_or_default();
        let copied = layer.restart().map_err(of_docker_tar).and_then(|()| {
            let failed = |error| of_io(error, "writing layer", &subject);
            let measured = reader.into_read().copy_to(&mut layer, failed)?;
            self.written(blob, digest.as_ref(), measured)
        });
        match copied {
            Ok(measured) => {
                let name = digest.filter(|_| self.keeps_compression);
                let name = name.as_ref().unwrap_or(&measured.digest);
                layer.finish_as(name).map_err(of_docker_tar)?;
                Ok(measured)
            }
            Err(error) => {
                // Its place stays, so that it can be tried again.
                self.parts().reserved.push((blob.clone(), layer));
                Err(error)
            }
        }
    }

    /// Checks a layer that was written under the name of a digest.
    fn written(
        &self,
        blob: &BlobSpec,
        name: Option<&Digest>,
        measured: Measured,
    ) -> Result<Measured> {
        if !self.keeps_compression {
            return check(blob, name, measured);
        }
        let is_plain = blob.media_type.layer_compression() == Some(LayerCompression::None);
        let announced = blob.measured.as_ref().map(|announced| &announced.digest);
        let measured = check(blob, announced.or(name.filter(|_| is_plain)), measured)?;
        if let Some(diff_id) = name {
            self.parts().diff_ids.insert(measured.digest.clone(), diff_id.clone());
        }
        Ok(measured)
    }

    fn write_config(&self, bytes: Bytes, blob: &BlobSpec) -> Result<Measured> {
        let expected = blob.measured.as_ref().map(|measured| &measured.digest);
        let algorithm = expected.map_or(cask_image::Algorithm::Sha256, Digest::algorithm);
        let digest = Hasher::digest(algorithm, &bytes);
        let measured = Measured { digest: digest.clone(), size: bytes.len() as u64 };
        let measured = check(blob, expected, measured)?;
        self.parts().configs.insert(digest, bytes);
        Ok(measured)
    }

    fn write_manifest(&self, manifest: &RawManifest, role: &ManifestRole) -> Result<()> {
        if *role != ManifestRole::Top {
            return Err(unsupported(manifest.digest())
                .with_detail("Manifest lists are not supported for docker tar files"));
        }
        let parsed = manifest.parse().map_err(|error| {
            Error::new(ErrorKind::Corrupt, "parsing manifest", manifest.digest()).with_source(error)
        })?;
        let Manifest::Image(image) = parsed else {
            return Err(match parsed {
                Manifest::Index(_) => unsupported(manifest.digest())
                    .with_detail("Manifest lists are not supported for docker tar files"),
                _ => refused(manifest),
            });
        };
        if image.is_artifact() {
            return Err(unsupported(manifest.digest())
                .with_detail("a docker archive holds images, and this is an artifact"));
        }
        let config = self.parts().configs.get(&image.config.digest).cloned().ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "writing manifest", manifest.digest())
                .with_detail(format!("config {} was not written before", image.config.digest))
        })?;
        match (self.layout, image.format) {
            (Layout::Hybrid, ImageFormat::Oci) => {
                self.writer.add_oci_image(manifest, &config, &self.names).map_err(of_docker_tar)?;
            }
            (Layout::Classic, ImageFormat::Docker) => {
                self.check_layers(&image, &config)?;
                self.writer.add_image(&config, &self.names).map_err(of_docker_tar)?;
            }
            _ => return Err(refused(manifest)),
        }
        self.parts().has_image = true;
        Ok(())
    }

    /// The format keeps no manifest, so it has to say what the config says.
    fn check_layers(&self, image: &ImageManifest, config: &Bytes) -> Result<()> {
        let corrupt = || Error::new(ErrorKind::Corrupt, "writing config", &image.config.digest);
        let parsed =
            ImageConfig::parse(config.clone()).map_err(|error| corrupt().with_source(error))?;
        let parts = self.parts();
        let diff_id = |layer: &Digest| match parts.diff_ids.get(layer) {
            Some(diff_id) if self.keeps_compression => diff_id.clone(),
            _ => layer.clone(),
        };
        if image.layers.iter().map(|layer| diff_id(&layer.digest)).eq(parsed.diff_ids) {
            return Ok(());
        }
        Err(corrupt().with_detail("the manifest's layers are not those of the config"))
    }
}

fn unsupported(subject: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Unsupported, "writing", subject)
}

fn refused(manifest: &RawManifest) -> Error {
    Error::new(ErrorKind::ManifestRefused, "writing manifest", manifest.digest())
        .with_detail(format!("the archive does not take {}", manifest.media_type()))
}

/// Compares what was written with the size that was announced and the digest that it has to have.
fn check(blob: &BlobSpec, digest: Option<&Digest>, measured: Measured) -> Result<Measured> {
    let digest = digest.unwrap_or(&measured.digest).clone();
    let size = blob.measured.as_ref().map_or(measured.size, |announced| announced.size);
    measured.expect(Some(&Measured { digest, size }))?;
    Ok(measured)
}

#[async_trait]
impl Transaction for DockerTarTransaction {
    async fn have(&self, blobs: &[BlobSpec]) -> Result<Vec<Have>> {
        let blobs = blobs.to_vec();
        self.write(move |state| blobs.iter().map(|blob| state.have(blob)).collect()).await
    }

    async fn write_blob(&self, blob: &BlobSpec, body: BlobBody) -> Result<Measured> {
        match blob.kind {
            BlobKind::Layer { .. } => {
                let reader = body.open().await?;
                let blob = blob.clone();
                self.write(move |state| state.write_layer(&blob, reader)).await
            }
            BlobKind::Config => {
                let bytes = body.open().await?.read_all(MAX_CONFIG_BYTES).await?;
                self.state.write_config(bytes, blob)
            }
            _ => Err(unsupported("a blob")
                .with_detail("a docker archive holds nothing but configs and layers")),
        }
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
            if !state.parts().has_image {
                return Err(Error::new(ErrorKind::Corrupt, "committing", "")
                    .with_detail("no top manifest was written"));
            }
            state.writer.finish(durability).map_err(of_docker_tar)?;
            Ok(Committed::default())
        })
        .await
    }
}
