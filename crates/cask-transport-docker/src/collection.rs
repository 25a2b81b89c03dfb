//! The images of a repository.

use async_trait::async_trait;
use cask_image::Descriptor;
use cask_registry::Selector as Which;
use cask_transport::{Collection, Entry, Error, ErrorKind, Result, Selector};
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

use crate::error::of_registry;
use crate::location::{Place, Places};
use crate::source::{first, tag_of, which};

/// A repository as a set of images.
pub(crate) struct DockerCollection {
    /// Where it can be read.
    places: Places,
    /// The registry itself.
    place: Place,
}

impl DockerCollection {
    pub(crate) fn new(places: Places, place: Place) -> Self {
        Self { places, place }
    }

    async fn tags(&self) -> Result<Vec<String>> {
        first(&self.places, |place| async move {
            let (mut names, mut tags) = (place.repository.tags(), Vec::new());
            while let Some(tag) = names.next().await.map_err(of_registry)? {
                tags.push(tag);
            }
            Ok(tags)
        })
        .await
    }
}

#[async_trait]
impl Collection for DockerCollection {
    fn entries(&self) -> BoxStream<'_, Result<Entry>> {
        let entry = |tag| Entry { names: vec![tag], position: None, descriptor: None };
        stream::once(self.tags())
            .map_ok(move |tags| stream::iter(tags.into_iter().map(move |tag| Ok(entry(tag)))))
            .try_flatten()
            .boxed()
    }

    async fn tag(&self, manifest: &Descriptor, name: &str) -> Result<()> {
        let repository = &self.place.repository;
        let digest = Which::Digest(manifest.digest.clone());
        let manifest = repository.manifest(&digest).await.map_err(of_registry)?;
        repository
            .put_manifest(&Which::Tag(tag_of(name)?), &manifest)
            .await
            .map_err(of_registry)?;
        Ok(())
    }

    async fn untag(&self, name: &str) -> Result<()> {
        self.place.repository.untag(&tag_of(name)?).await.map_err(of_registry)
    }

    async fn delete(&self, selector: &Selector) -> Result<()> {
        let which = match selector {
            Selector::Chosen => which(&self.place),
            Selector::Name(tag) => Which::Tag(tag_of(tag)?),
            Selector::Digest(digest) => Which::Digest(digest.clone()),
            other => {
                return Err(Error::new(ErrorKind::Unsupported, "choosing an image", "")
                    .with_detail(format!("a registry has no images by {other:?}")));
            }
        };
        let repository = &self.place.repository;
        let digest = match which {
            Which::Digest(digest) => digest,
            tag => repository.resolve(&tag).await.map_err(of_registry)?.digest,
        };
        repository.delete_manifest(&digest).await.map_err(of_registry)
    }
}
