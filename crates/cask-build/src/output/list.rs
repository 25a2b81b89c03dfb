//! Images of several platforms as one list in the store.

use std::collections::BTreeMap;

use cask_image::{ImageFormat, Index, Manifest, RawManifest};
use cask_storage::{Id, Image, NewImage, Store};

use crate::build::BuiltImage;
use crate::{Error, Result};

/// The key under which a list remembers where its images are.
///
/// Source: containers/common, `libimage/manifests/manifests.go`, `instancesData`.
const INSTANCES: &str = "instances.json";

/// Makes a list of the images, which gets the names; gives its ID and its manifest.
///
/// Where the first name is that of a list in the store already, the images come to it: one that is in
/// it, or another one for the same platform, is replaced.
///
/// The ID follows from what is in the list, so that the same images give the same one.
///
/// # Errors
/// [`ErrorKind::Storage`](crate::ErrorKind::Storage).
pub fn add_to_list(
    images: &[BuiltImage],
    names: &[String],
    format: ImageFormat,
    store: &Store,
) -> Result<(Id, RawManifest)> {
    let known = match names.first() {
        Some(name) => known(name, store)?,
        None => None,
    };
    let (mut index, mut instances) = match &known {
        Some((_, index, instances)) => (index.clone(), instances.clone()),
        None => (Index::new(format, Vec::new()), BTreeMap::new()),
    };
    for image in images {
        let manifest = &image.manifest;
        let mut entry = manifest.descriptor();
        entry.platform = Some(image.platform.clone());
        index.manifests.retain(|other| {
            other.digest != entry.digest && other.platform.as_ref() != entry.platform.as_ref()
        });
        index.manifests.push(entry);
        instances.insert(manifest.digest().to_string(), location(store, &image.id));
    }
    instances.retain(|digest, _| index.manifests.iter().any(|e| e.digest.as_str() == digest));
    store_list(&index, &instances, known.map(|(image, ..)| image), names, store)
}

fn store_list(
    index: &Index,
    instances: &BTreeMap<String, String>,
    known: Option<Image>,
    names: &[String],
    store: &Store,
) -> Result<(Id, RawManifest)> {
    let storage = |error| Error::storage(error, "the list");
    let raw = index.encode();
    let id = Id::of_config(raw.digest());
    let mut image = NewImage::new(id.clone());
    image.names = names.to_vec();
    image.digest = Some(raw.digest().clone());
    let instances = serde_json::to_vec(instances).expect("a map of texts is JSON");
    image.data =
        vec![("manifest".to_owned(), raw.bytes().to_vec()), (INSTANCES.to_owned(), instances)];
    if store.image(&id).map_err(storage)?.is_some() {
        store.add_names(&id, names).map_err(storage)?;
        return Ok((id, raw));
    }
    store.commit_image(image).map_err(storage)?;
    if let Some(before) = known.filter(|before| before.id != id)
        && let Some(before) = store.image(&before.id).map_err(storage)?
        && before.names.is_empty()
    {
        // The list as it was, which nothing names any more.
        store.delete_image(&before.id).map_err(storage)?;
    }
    Ok((id, raw))
}

/// The list of this name that is in the store, and where its images are.
#[expect(clippy::type_complexity, reason = "three parts of one thing, for one caller")]
fn known(name: &str, store: &Store) -> Result<Option<(Image, Index, BTreeMap<String, String>)>> {
    let storage = |error| Error::storage(error, name);
    let wanted = store.resolve(name).map_err(storage)?;
    let image = match store.find(&wanted) {
        Ok(image) => image,
        Err(error) if error.kind() == cask_storage::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(storage(error)),
    };
    let bytes = store.image_data(&image, "manifest").map_err(storage)?;
    let Ok(Manifest::Index(index)) = RawManifest::guess(bytes).and_then(|raw| raw.parse()) else {
        // A name moves from an image to what was built last.
        return Ok(None);
    };
    let instances = store.image_data(&image, INSTANCES).unwrap_or_default();
    let instances = serde_json::from_slice(&instances).unwrap_or_default();
    Ok(Some((image, index, instances)))
}

/// An image of the store, as `containers-storage:` names it.
fn location(store: &Store, id: &Id) -> String {
    let (driver, root, run) = (store.driver(), store.graph_root(), store.run_root());
    format!("containers-storage:[{driver}@{}+{}]@{id}", root.display(), run.display())
}
