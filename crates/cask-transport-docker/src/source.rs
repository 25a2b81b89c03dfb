//! Reading images.

use std::sync::Arc;

use async_trait::async_trait;
use cask_image::{Descriptor, Digest, RawManifest};
use cask_reference::Tag;
use cask_registry::Selector as Which;
use cask_transfer::Transfers;
use cask_transport::{
    Error, ErrorKind, Result, Selector, Signature, Source, UnverifiedBlob, UnverifiedManifest,
    blocking,
};
use futures_util::{StreamExt as _, stream};
use tokio::sync::Mutex;

use crate::error::of_registry;
use crate::kept::{Keeping, KeptBlob};
use crate::location::{Place, Places};
use crate::signatures::Signatures;

/// An image in a registry or in one of its mirrors.
pub(crate) struct DockerSource {
    /// Where the image may be, the registry itself last.
    places: Places,
    /// The place that had it, once that is known.
    found: Mutex<Option<Found>>,
    signatures: Signatures,
    /// Keeps blobs as far as they have come.
    keeping: Option<Arc<Keeping>>,
}

#[derive(Clone)]
struct Found {
    place: Place,
    /// What the name stands for: it is wanted right after it was resolved.
    manifest: RawManifest,
}

impl DockerSource {
    pub(crate) fn new(
        places: Places,
        signatures: Signatures,
        transfers: Option<Transfers>,
    ) -> Self {
        Self { places, found: Mutex::default(), signatures, keeping: transfers.map(Keeping::new) }
    }

    /// The manifest that the name stands for, and the place that has it.
    async fn chosen(&self) -> Result<Found> {
        let mut found = self.found.lock().await;
        if let Some(found) = &*found {
            return Ok(found.clone());
        }
        let new = first(&self.places, |place| async move {
            let which = which(&place);
            let manifest = place.repository.manifest(&which).await.map_err(of_registry)?;
            Ok(Found { place, manifest })
        })
        .await?;
        Ok(found.insert(new).clone())
    }

    async fn place(&self) -> Result<Place> {
        self.chosen().await.map(|found| found.place)
    }
}

/// A name of the seam as a tag.
pub(crate) fn tag_of(name: &str) -> Result<Tag> {
    name.parse().map_err(|error: cask_reference::ReferenceError| {
        Error::new(ErrorKind::InvalidLocation, "", "").with_detail(error.to_string())
    })
}

/// What the reference of a place asks for.
pub(crate) fn which(place: &Place) -> Which {
    match (place.reference.digest(), place.reference.tag()) {
        (Some(digest), _) => Which::Digest(digest.clone()),
        (None, Some(tag)) => Which::Tag(tag.clone()),
        (None, None) => Which::Tag(Tag::latest()),
    }
}

/// Tries the places in their order until one succeeds. A mirror that does not answer is left out
/// for a while.
pub(crate) async fn first<T, F, R>(places: &Places, mut attempt: F) -> Result<T>
where
    F: FnMut(Place) -> R,
    R: Future<Output = Result<T>>,
{
    let mut failed: Vec<(String, Error)> = Vec::new();
    let last = places.all.len().saturating_sub(1);
    for (position, place) in places.all.iter().enumerate() {
        let host = place.reference.domain();
        let name = place.reference.to_string();
        if position < last && places.silent.contain(host) {
            let error = Error::new(ErrorKind::Network, "", "")
                .with_detail("not asked again, as it has just not answered");
            failed.push((name, error));
            continue;
        }
        match attempt(place.clone()).await {
            Ok(done) => return Ok(done),
            Err(error) => {
                if error.kind() == ErrorKind::Network {
                    places.silent.add(host);
                }
                failed.push((name, error));
            }
        }
    }
    let (name, last) = failed.pop().expect("there is at least one place");
    if failed.is_empty() {
        return Err(last);
    }
    // The words of containers/image, which scripts search for.
    let mirrors = failed.iter().map(|(name, error)| format!("[{name}: {error}]"));
    let mirrors = mirrors.collect::<Vec<_>>().join(" ");
    let detail = format!("(Mirrors also failed: {mirrors}): {name}: {last}");
    Err(Error::new(last.kind(), detail, "").with_source(last))
}

#[async_trait]
impl Source for DockerSource {
    async fn resolve(&self, selector: &Selector) -> Result<Descriptor> {
        let which = match selector {
            Selector::Chosen => return Ok(self.chosen().await?.manifest.descriptor()),
            Selector::Name(tag) => Which::Tag(tag_of(tag)?),
            Selector::Digest(digest) => Which::Digest(digest.clone()),
            other => {
                return Err(Error::new(ErrorKind::Unsupported, "choosing an image", "")
                    .with_detail(format!("a registry has no images by {other:?}")));
            }
        };
        first(&self.places, |place| {
            let which = which.clone();
            async move { place.repository.resolve(&which).await.map_err(of_registry) }
        })
        .await
    }

    async fn look_up(&self) -> Result<Option<Descriptor>> {
        first(&self.places, |place| async move {
            place.repository.resolve(&which(&place)).await.map(Some).map_err(of_registry)
        })
        .await
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<UnverifiedManifest> {
        let Found { place, manifest } = self.chosen().await?;
        let manifest = match manifest.matches(&descriptor.digest) {
            true => manifest,
            false => {
                let which = Which::Digest(descriptor.digest.clone());
                place.repository.manifest(&which).await.map_err(of_registry)?
            }
        };
        let media_type = manifest.media_type().clone();
        Ok(UnverifiedManifest::new(manifest.bytes().clone()).with_media_type(media_type))
    }

    async fn blob(&self, descriptor: &Descriptor, offset: u64) -> Result<UnverifiedBlob> {
        let place = self.place().await?;
        if let (Some(keeping), 0) = (&self.keeping, offset) {
            let blob = keeping.open(&place.repository, descriptor).await?;
            let stream = stream::try_unfold(blob, KeptBlob::next);
            return Ok(UnverifiedBlob::from_stream(stream.boxed()));
        }
        let blob = place.repository.blob(&descriptor.digest, Some(descriptor.size), offset);
        let stream = blob.await.map_err(of_registry)?.into_stream();
        Ok(UnverifiedBlob::from_stream(stream.map(|chunk| chunk.map_err(of_registry)).boxed()))
    }

    fn learn_unpacked(&self, layer: &Descriptor, diff_id: &Digest) {
        if let Some(keeping) = &self.keeping {
            keeping.learn_unpacked(layer, diff_id);
        }
    }

    fn settle(&self, blob: &Descriptor) {
        if let Some(keeping) = &self.keeping {
            keeping.settle(blob);
        }
    }

    async fn may_be_signed(&self) -> Result<bool> {
        let (signatures, places) = (self.signatures.clone(), self.places.all.clone());
        blocking(move || Ok(signatures.may_exist(&places))).await
    }

    async fn signatures(&self, manifest: &Descriptor) -> Result<Vec<Signature>> {
        self.signatures.read(&self.place().await?, &manifest.digest).await
    }

    async fn blob_size(&self, digest: &Digest) -> Result<u64> {
        let place = self.place().await?;
        let size = place.repository.blob_size(digest).await.map_err(of_registry)?;
        size.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "reading the size of blob", digest)
                .with_detail("blob unknown to registry")
        })
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let place = self.place().await?;
        place.repository.referrers(subject, None).await.map_err(of_registry)
    }
}
