//! Reading images.

use std::collections::HashMap;
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use cask_image::{Descriptor, Digest, ImageConfig, Manifest, RawManifest};
use cask_storage::{ArtifactPart, Image, ImageName, Layer, ListArtifacts, Store};
use cask_transport::{
    Error, ErrorKind, Measured, Result, Selector, Signature, Source, UnverifiedBlob,
    UnverifiedManifest, blocking,
};

use crate::error::of_storage;

/// An image of a store.
#[derive(Clone)]
pub(crate) struct StorageSource {
    store: Store,
    image: Image,
    wanted: ImageName,
    /// Blobs that are kept and were opened.
    kept: Arc<Mutex<HashMap<Digest, Arc<fs::File>>>>,
    /// Of a list, the images in it that were asked for: others of the store.
    members: Arc<Mutex<Vec<Self>>>,
    /// Of a list, the artifacts in it that were made of files, once they were asked for.
    artifacts: Arc<OnceLock<ListArtifacts>>,
}

type File = Arc<fs::File>;

/// How many blobs that are kept are held open, so that nobody deletes them: fewer than any limit of open files.
const MAX_OPEN: usize = 200;

impl StorageSource {
    pub(crate) fn new(store: Store, image: Image, wanted: ImageName) -> Self {
        let (kept, members, artifacts) = Default::default();
        Self { store, image, wanted, kept, members, artifacts }
    }

    /// Runs work on the store on the blocking pool.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let this = self.clone();
        blocking(move || work(&this)).await
    }

    fn data(&self, key: &str) -> Result<Vec<u8>> {
        self.store.image_data(&self.image, key).map_err(of_storage)
    }

    /// The manifest of the image; if a digest was asked for that another of its manifests has, that
    /// one.
    fn chosen(&self) -> Result<RawManifest> {
        let digest = self.wanted.name.as_ref().and_then(|name| name.digest());
        let key = match digest {
            Some(digest) if self.image.manifest_digest() != Some(digest) => {
                format!("manifest-{digest}")
            }
            _ => "manifest".to_owned(),
        };
        self.parse(self.data(&key)?)
    }

    fn with_digest(&self, digest: &Digest) -> Result<RawManifest> {
        if let Some(manifest) = self.artifacts()?.manifest(digest.as_str()) {
            return self.parse(manifest.as_bytes().to_vec());
        }
        if let Some(member) = self.member(digest)? {
            return member.with_digest(digest);
        }
        let own = self.image.manifest_digest() == Some(digest);
        let key = if own { "manifest".to_owned() } else { format!("manifest-{digest}") };
        self.parse(self.data(&key)?)
    }

    /// Of a list that was made here, an image in it: that has a record of its own.
    fn member(&self, digest: &Digest) -> Result<Option<Self>> {
        let has_it = |image: &Image| image.manifest_digest() == Some(digest);
        let key = format!("manifest-{digest}");
        let has_more = self.image.top_layer.is_some() || self.image.big_data_names.contains(&key);
        if has_more || has_it(&self.image) {
            return Ok(None);
        }
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(member) = members.iter().find(|member| has_it(&member.image)) {
            return Ok(Some(member.clone()));
        }
        let images = self.store.images_by_digest(digest).map_err(of_storage)?;
        let found = images.into_iter().find(has_it);
        Ok(found.map(|image| {
            let member = Self::new(self.store.clone(), image, self.wanted.clone());
            members.push(member.clone());
            member
        }))
    }

    /// The artifacts of a list, which have no records of their own.
    fn artifacts(&self) -> Result<&ListArtifacts> {
        if let Some(known) = self.artifacts.get() {
            return Ok(known);
        }
        let is_there = self.image.big_data_names.iter().any(|name| name == ListArtifacts::KEY);
        let read = match is_there {
            true => ListArtifacts::parse(&self.data(ListArtifacts::KEY)?),
            false => ListArtifacts::default(),
        };
        Ok(self.artifacts.get_or_init(|| read))
    }

    fn parse(&self, bytes: Vec<u8>) -> Result<RawManifest> {
        RawManifest::guess(bytes).map_err(|error| {
            Error::new(ErrorKind::Corrupt, "reading the manifest of image", &self.image.id)
                .with_source(error)
        })
    }

    /// The layers of the image, the base first.
    fn layers(&self) -> Result<Vec<Layer>> {
        let Some(top) = &self.image.top_layer else { return Ok(Vec::new()) };
        let mut chain = self.store.layer_chain(top).map_err(of_storage)?;
        chain.reverse();
        Ok(chain)
    }

    /// The blob that a layer came as, where it is kept. Whoever plans with it can read it also if it is deleted
    /// meanwhile.
    fn kept(&self, digest: &Digest) -> Result<Option<File>> {
        let mut opened = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = opened.get(digest) {
            return Ok(Some(Arc::clone(file)));
        }
        let Some(file) = self.store.open_kept_blob(digest).map_err(of_storage)? else {
            return Ok(None);
        };
        let file = Arc::new(file);
        if opened.len() < MAX_OPEN {
            opened.insert(digest.clone(), Arc::clone(&file));
        }
        Ok(Some(file))
    }

    /// The size of the blob that a layer came as, where it is kept and as long as the manifest says.
    fn kept_size(&self, layer: &Descriptor) -> Result<Option<u64>> {
        let Some(file) = self.kept(&layer.digest)? else { return Ok(None) };
        let found =
            file.metadata().map_err(|e| Error::from_io(e, "reading blob", &layer.digest))?;
        Ok(Some(found.len()).filter(|size| *size == layer.size))
    }

    fn open_blob(&self, digest: &Digest, offset: u64) -> Result<UnverifiedBlob> {
        if self.image.big_data_names.iter().any(|name| *name == digest.as_str()) {
            let bytes = self.data(digest.as_str())?;
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            return Ok(UnverifiedBlob::from_read(std::io::Cursor::new(
                Bytes::from(bytes).slice(start..),
            )));
        }
        if let Some(kept) = self.kept(digest)? {
            return read_from(kept, offset, digest);
        }
        match self.artifacts()?.part(digest.as_str()) {
            Some(ArtifactPart::File(path)) => return read_file(Path::new(&path), offset, digest),
            Some(ArtifactPart::Bytes(bytes)) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                let rest = Bytes::from(bytes).slice(start..);
                return Ok(UnverifiedBlob::from_read(std::io::Cursor::new(rest)));
            }
            None => {}
        }
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for member in members {
            match member.open_blob(digest, offset) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                opened => return opened,
            }
        }
        let layers = self.layers()?;
        let Some(layer) = layers.iter().find(|layer| layer.diff_digest.as_ref() == Some(digest))
        else {
            let mut missing = Error::new(ErrorKind::NotFound, "reading blob", digest)
                .with_detail(format!("image {} has no such blob", self.image.id));
            if layers.iter().any(|layer| layer.compressed_digest.as_ref() == Some(digest)) {
                missing = missing.with_hint("the store keeps this layer unpacked");
            }
            return Err(missing);
        };
        let mut reader = self.store.read_layer(&layer.id).map_err(of_storage)?;
        // A stream that is put together can only be read from its beginning.
        std::io::copy(&mut reader.by_ref().take(offset), &mut std::io::sink())
            .map_err(|error| Error::from_io(error, "reading layer", &layer.id))?;
        Ok(UnverifiedBlob::from_read(reader))
    }
}

/// Reads a file from an offset on; several may read it at the same time.
fn read_from(file: File, offset: u64, digest: &Digest) -> Result<UnverifiedBlob> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let failed = |error| Error::from_io(error, "reading blob", digest);
    // With a position of its own.
    let mut own = fs::File::open(path).map_err(failed)?;
    own.seek(SeekFrom::Start(offset)).map_err(failed)?;
    Ok(UnverifiedBlob::from_read(own))
}

/// Reads a file that an artifact was made of. It may be another one by now: whoever reads compares the digest.
fn read_file(path: &Path, offset: u64, digest: &Digest) -> Result<UnverifiedBlob> {
    let failed = |error| Error::from_io(error, "reading a file of an artifact", path.display());
    // Opening a pipe would wait for who writes to it.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(Error::new(ErrorKind::NotFound, "reading blob", digest)
            .with_detail(format!("{} is no regular file any more", path.display())));
    }
    let mut file = fs::File::open(path).map_err(failed)?;
    file.seek(SeekFrom::Start(offset)).map_err(failed)?;
    Ok(UnverifiedBlob::from_read(file))
}

#[async_trait]
impl Source for StorageSource {
    async fn resolve(&self, selector: &Selector) -> Result<Descriptor> {
        let selector = selector.clone();
        self.read(move |this| match &selector {
            Selector::Chosen => this.chosen().map(|manifest| manifest.descriptor()),
            Selector::Digest(digest) => {
                this.with_digest(digest).map(|manifest| manifest.descriptor())
            }
            Selector::Name(name) => {
                let wanted = this.store.resolve(name).map_err(of_storage)?;
                let image = this.store.find(&wanted).map_err(of_storage)?;
                let other = Self::new(this.store.clone(), image, wanted);
                other.chosen().map(|manifest| manifest.descriptor())
            }
            other => Err(Error::new(ErrorKind::Unsupported, "choosing an image", "")
                .with_detail(format!("a store has no images by {other:?}"))),
        })
        .await
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<UnverifiedManifest> {
        let digest = descriptor.digest.clone();
        self.read(move |this| {
            Ok(UnverifiedManifest::new(this.with_digest(&digest)?.bytes().clone()))
        })
        .await
    }

    async fn blob(&self, descriptor: &Descriptor, offset: u64) -> Result<UnverifiedBlob> {
        let digest = descriptor.digest.clone();
        self.read(move |this| this.open_blob(&digest, offset)).await
    }

    async fn held_layers(&self, manifest: &Descriptor) -> Result<Option<Vec<Measured>>> {
        let digest = manifest.digest.clone();
        self.read(move |this| {
            let member = this.member(&digest)?;
            let this = member.as_ref().unwrap_or(this);
            if this.image.manifest_digest() != Some(&digest) {
                return Ok(None);
            }
            let Ok(Manifest::Image(manifest)) = this.with_digest(&digest)?.parse() else {
                return Ok(None);
            };
            let config = this.data(manifest.config.digest.as_str())?;
            let Ok(config) = ImageConfig::parse(config) else { return Ok(None) };
            let layers = this.layers()?;
            if layers.len() != manifest.layers.len() || layers.len() != config.diff_ids.len() {
                return Ok(None);
            }
            let mut measured = Vec::with_capacity(layers.len());
            let mut as_named = true;
            for ((layer, digest), named) in layers.iter().zip(config.diff_ids).zip(&manifest.layers)
            {
                if let Some(size) = this.kept_size(named)? {
                    measured.push(Measured { digest: named.digest.clone(), size });
                    continue;
                }
                as_named &= digest == named.digest;
                let size = u64::try_from(layer.diff_size_bytes).unwrap_or(0);
                measured.push(Measured { digest, size });
            }
            Ok((!as_named).then_some(measured))
        })
        .await
    }

    async fn signatures(&self, manifest: &Descriptor) -> Result<Vec<Signature>> {
        let key = format!("signature-{}", manifest.digest.hex());
        let digest = manifest.digest.clone();
        self.read(move |this| {
            if !this.image.big_data_names.contains(&key) {
                return Ok(Vec::new());
            }
            let bytes = Bytes::from(this.data(&key)?);
            let sizes = this.image.signature_sizes(&digest);
            let mut signatures = Vec::new();
            let mut start = 0_usize;
            for size in sizes {
                let end = usize::try_from(size).ok().and_then(|size| start.checked_add(size));
                let Some(end) = end.filter(|end| *end <= bytes.len()) else {
                    return Err(Error::new(ErrorKind::Corrupt, "reading signatures of", &digest)
                        .with_detail("they are shorter than the image's record says"));
                };
                signatures.push(Signature { bytes: bytes.slice(start..end) });
                start = end;
            }
            Ok(signatures)
        })
        .await
    }
}
