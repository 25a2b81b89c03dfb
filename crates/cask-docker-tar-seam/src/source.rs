//! Reading images.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use cask_docker_tar::{DockerArchive, Image, Selector as ImageSelector};
use cask_image::{Descriptor, Digest, RawManifest};
use cask_reference::Reference;
use cask_transport::{
    Error, ErrorKind, Result, Selector, Source, UnverifiedBlob, UnverifiedManifest, blocking,
};

use crate::error::of_docker_tar;

/// The images of an opened archive, for [`VerifiedSource`](cask_transport::VerifiedSource).
///
/// A manifest is made of an image when it is first asked for, and kept. Every image of the archive
/// can be resolved by name, position or digest; the chosen one is only where to begin.
pub struct DockerTarSource(Arc<State>);

struct State {
    archive: DockerArchive,
    chosen: ImageSelector,
    /// By position.
    opened: Mutex<BTreeMap<usize, Opened>>,
}

/// An image, and the manifest that was made of it.
#[derive(Clone)]
struct Opened {
    image: Image,
    manifest: RawManifest,
}

impl DockerTarSource {
    /// Reads from an archive; `chosen` is what the location says.
    pub fn new(archive: DockerArchive, chosen: ImageSelector) -> Self {
        Self(Arc::new(State { archive, chosen, opened: Mutex::default() }))
    }

    /// Runs work on the blocking pool.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&State) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let state = Arc::clone(&self.0);
        blocking(move || work(&state)).await
    }
}

impl State {
    fn opened(&self) -> MutexGuard<'_, BTreeMap<usize, Opened>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, selector: &ImageSelector) -> Result<Opened> {
        let position = self.archive.select(selector).map_err(of_docker_tar)?;
        if let Some(opened) = self.opened().get(&position) {
            return Ok(opened.clone());
        }
        let image =
            self.archive.image(&ImageSelector::Position(position)).map_err(of_docker_tar)?;
        let manifest = image.manifest().map_err(of_docker_tar)?;
        let opened = Opened { image, manifest };
        self.opened().insert(position, opened.clone());
        Ok(opened)
    }

    fn resolve(&self, selector: &Selector) -> Result<Opened> {
        match selector {
            Selector::Chosen => self.open(&self.chosen),
            Selector::Position(position) => self.open(&ImageSelector::Position(*position)),
            Selector::Name(name) => {
                let reference = Reference::parse_normalized(name).map_err(|error| {
                    Error::new(ErrorKind::InvalidLocation, "parsing reference", "")
                        .with_source(error)
                })?;
                self.open(&ImageSelector::Name(reference.with_default_tag()))
            }
            Selector::Digest(digest) => self
                .find(|opened| opened.manifest.digest() == digest)?
                .ok_or_else(|| self.missing("manifest", digest)),
            other => Err(Error::new(ErrorKind::Unsupported, "choosing an image", "")
                .with_detail(format!("an archive has no images by {other:?}"))),
        }
    }

    /// Looks among the images that were opened, and only then at the others.
    fn find(&self, is_wanted: impl Fn(&Opened) -> bool) -> Result<Option<Opened>> {
        if let Some(found) = self.opened().values().find(|opened| is_wanted(opened)) {
            return Ok(Some(found.clone()));
        }
        for entry in self.archive.entries() {
            let opened = self.open(&ImageSelector::Position(entry.position()))?;
            if is_wanted(&opened) {
                return Ok(Some(opened));
            }
        }
        Ok(None)
    }

    fn blob(&self, digest: &Digest, offset: u64) -> Result<UnverifiedBlob> {
        let holds = |opened: &Opened| {
            opened.image.config_digest() == digest || opened.image.layer(digest).is_ok()
        };
        let Some(Opened { image, .. }) = self.find(holds)? else {
            return Err(self.missing("blob", digest));
        };
        if image.config_digest() == digest {
            let bytes = image.config_bytes();
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            return Ok(UnverifiedBlob::from_read(Cursor::new(bytes.slice(start..))));
        }
        let reader = image.danger_open_layer_unverified(digest, offset).map_err(of_docker_tar)?;
        Ok(UnverifiedBlob::from_read(reader))
    }

    fn missing(&self, what: &'static str, digest: &Digest) -> Error {
        let path = self.archive.archive().path().display();
        Error::new(ErrorKind::NotFound, "reading", path)
            .with_detail(format!("Unknown {what} {digest}"))
    }
}

type Cursor = std::io::Cursor<Bytes>;

#[async_trait]
impl Source for DockerTarSource {
    async fn resolve(&self, selector: &Selector) -> Result<Descriptor> {
        let selector = selector.clone();
        self.read(move |state| Ok(state.resolve(&selector)?.manifest.descriptor())).await
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<UnverifiedManifest> {
        let digest = descriptor.digest.clone();
        self.read(move |state| {
            let opened = state.resolve(&Selector::Digest(digest))?;
            let media_type = opened.manifest.media_type().clone();
            let bytes = opened.manifest.bytes().clone();
            Ok(UnverifiedManifest::new(bytes).with_media_type(media_type))
        })
        .await
    }

    async fn blob(&self, descriptor: &Descriptor, offset: u64) -> Result<UnverifiedBlob> {
        let digest = descriptor.digest.clone();
        self.read(move |state| state.blob(&digest, offset)).await
    }

    async fn blob_size(&self, digest: &Digest) -> Result<u64> {
        let digest = digest.clone();
        self.read(move |state| {
            let found = state.find(|opened| opened.image.layer(&digest).is_ok())?;
            let opened = found.ok_or_else(|| state.missing("blob", &digest))?;
            let layer = opened.image.layer(&digest).map_err(of_docker_tar)?;
            opened.image.layer_size(layer).map_err(of_docker_tar)
        })
        .await
    }
}
