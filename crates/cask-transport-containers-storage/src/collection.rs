//! The images of a store.

use async_trait::async_trait;
use cask_image::{Descriptor, MediaType};
use cask_storage::{Image, ImageName, Store};
use cask_transport::{Collection, Entry, Error, ErrorKind, Result, Selector, blocking};
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

use crate::error::of_storage;

/// An opened store as a set of images.
pub(crate) struct StorageCollection {
    store: Store,
    chosen: ImageName,
}

impl StorageCollection {
    pub(crate) fn new(store: Store, chosen: ImageName) -> Self {
        Self { store, chosen }
    }
}

fn entry(image: &Image) -> Entry {
    let descriptor = image.manifest_digest().map(|digest| {
        let size = image.big_data_sizes.get("manifest").copied().unwrap_or(0);
        // The store does not say the type; whoever reads the manifest learns it.
        let size = u64::try_from(size).unwrap_or(0);
        Descriptor::new(MediaType::OciManifest, digest.clone(), size)
    });
    Entry { names: image.names.clone(), position: None, descriptor }
}

#[async_trait]
impl Collection for StorageCollection {
    fn entries(&self) -> BoxStream<'_, Result<Entry>> {
        let store = self.store.clone();
        let list = blocking(move || store.images().map_err(of_storage));
        stream::once(list)
            .map_ok(|images| {
                let entries: Vec<_> = images.iter().map(|image| Ok(entry(image))).collect();
                stream::iter(entries)
            })
            .try_flatten()
            .boxed()
    }

    async fn tag(&self, manifest: &Descriptor, name: &str) -> Result<()> {
        let (store, digest, name) = (self.store.clone(), manifest.digest.clone(), name.to_owned());
        blocking(move || {
            let images = store.images_by_digest(&digest).map_err(of_storage)?;
            let Some(image) = images.first() else {
                return Err(Error::new(ErrorKind::NotFound, "tagging an image of", "the store")
                    .with_detail(format!("there is no manifest {digest}")));
            };
            let name = whole_name(&store, &name)?;
            store.add_names(&image.id, &[name]).map_err(of_storage)
        })
        .await
    }

    async fn untag(&self, name: &str) -> Result<()> {
        let (store, name) = (self.store.clone(), name.to_owned());
        blocking(move || {
            let name = whole_name(&store, &name)?;
            let Some(image) = store.image_by_name(&name).map_err(of_storage)? else {
                return Err(Error::new(ErrorKind::NotFound, "untagging an image of", "the store")
                    .with_detail(format!("no image has the name {name:?}")));
            };
            store.remove_names(&image.id, &[name]).map_err(of_storage)
        })
        .await
    }

    async fn delete(&self, selector: &Selector) -> Result<()> {
        let (store, chosen) = (self.store.clone(), self.chosen.clone());
        let selector = selector.clone();
        blocking(move || {
            let wanted = match &selector {
                Selector::Chosen => chosen,
                Selector::Name(name) => store.resolve(name).map_err(of_storage)?,
                Selector::Digest(digest) => {
                    for image in store.images_by_digest(digest).map_err(of_storage)? {
                        store.delete_image(&image.id).map_err(of_storage)?;
                    }
                    return Ok(());
                }
                other => {
                    return Err(Error::new(ErrorKind::Unsupported, "choosing an image", "")
                        .with_detail(format!("a store has no images by {other:?}")));
                }
            };
            let image = store.find(&wanted).map_err(of_storage)?;
            let name = wanted.name.map(|name| name.to_string());
            // Other names keep the image, and what only one name had goes with it.
            match name.filter(|name| image.names.iter().any(|own| own != name)) {
                Some(name) => store.remove_names(&image.id, &[name]).map_err(of_storage),
                None => store.delete_image(&image.id).map(drop).map_err(of_storage),
            }
        })
        .await
    }
}

/// The name in full.
fn whole_name(store: &Store, text: &str) -> Result<String> {
    let wanted = store.resolve(text).map_err(of_storage)?;
    wanted.name.map(|name| name.to_string()).ok_or_else(|| {
        Error::new(ErrorKind::InvalidLocation, "", "").with_detail(format!("{text:?} is no name"))
    })
}
