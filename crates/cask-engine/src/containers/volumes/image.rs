//! Volumes whose files are an image's, and what is changed of them: a layer upon the image's, in the store.
//!
//! Source: podman, `libpod/runtime_volume_common.go`, `libpod/volume_internal_common.go`; its words.

use std::collections::BTreeMap;

use cask_storage::{Id, MountOptions, NewContainer, Store};

use super::super::record::{io, now};
use super::{Volume, Volumes};
use crate::{Error, ErrorKind, Images, Result};

/// What such volumes say that they are kept by.
pub(super) const IMAGE: &str = "image";

/// What the name of the layer's container has behind that of the volume.
const SUFFIX: &str = "+volume";

impl Volumes {
    fn images(&self) -> Result<&Images> {
        let why = "these volumes are beside no images";
        self.images.as_ref().ok_or_else(|| Error::new(ErrorKind::Invalid, "the driver image", why))
    }

    /// Finds the image that a volume is made of.
    pub(super) fn image_of(&self, options: &BTreeMap<String, String>) -> Result<Id> {
        if let Some(other) = options.keys().find(|key| *key != IMAGE) {
            let words = format!("invalid mount option {other} for driver 'image'");
            return Err(Error::new(ErrorKind::Invalid, words, "invalid argument"));
        }
        let Some(name) = options.get(IMAGE) else {
            let words = "must provide an image name when creating a volume with the image driver";
            return Err(Error::new(ErrorKind::Invalid, words, "invalid argument"));
        };
        let found = self.images()?.find(name).map_err(|error| {
            let words = format!("looking up image {name} to create volume failed");
            Error::new(error.kind(), words, "").with_source(error)
        })?;
        Ok(found.image.id.clone())
    }

    /// Makes the layer for a volume: it has the image be in use, also for other programs.
    pub(super) fn make_layer(&self, volume: &str, image: &Id) -> Result<Id> {
        let store = self.images()?.store();
        let name = format!("{volume}{SUFFIX}");
        let mut new = NewContainer::new(Some(image.clone()));
        new.layer_names = vec![format!("{name}-layer")];
        let created: Option<cask_image::Timestamp> = now().parse().ok();
        new.metadata = serde_json::json!({
            "image-name": "",
            "image-id": image.as_str(),
            "name": name,
            "created-at": created.map_or(0, cask_image::Timestamp::unix_seconds),
        })
        .to_string();
        new.names = vec![name.clone()];
        let made = match store.create_container(&new) {
            Err(error) if error.kind() == cask_storage::ErrorKind::Exists => {
                // Whoever made it was killed before there was a volume.
                store.delete_container(&store.container_named(&name)?.id)?;
                store.create_container(&new)
            }
            made => made,
        };
        Ok(made?.id.clone())
    }

    /// Removes the layer of a volume, which another program may have done.
    pub(super) fn remove_layer(&self, volume: &Volume) -> Result<()> {
        let (Some(id), Some(images)) = (&volume.storage, &self.images) else { return Ok(()) };
        match images.store().delete_container(&Id::parse(id)?) {
            Err(error) if error.kind() != cask_storage::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The layer of a volume, and the store that it is in.
    fn layer_of(&self, volume: &Volume) -> Result<(&Store, Id)> {
        let store = self.images()?.store();
        let id = volume.storage.as_deref().unwrap_or_default();
        let found = store.container_named(id).map_err(|error| {
            let words = format!("mounting volume {}", volume.name);
            let why = "its layer was removed, as with rmi --force";
            Error::new(ErrorKind::Storage, words, why)
                .with_source(error)
                .with_hint("remove the volume, and make it again")
        })?;
        let layer = found.layer.clone().ok_or_else(|| {
            Error::new(ErrorKind::Storage, format!("mounting volume {}", volume.name), "no layer")
        })?;
        Ok((store, layer))
    }

    /// Mounts the layer, and binds its files to the volume's directory.
    pub(super) fn mount_layer(&self, volume: &Volume) -> Result<()> {
        let (store, layer) = self.layer_of(volume)?;
        let mut options = MountOptions::default();
        options.writable = true;
        let files = store.mount_layer(&layer, &options)?;
        let path = &volume.mount_point;
        rustix::mount::mount_bind(&files, path).map_err(|error| {
            let _ = store.unmount_layer(&layer, false);
            io(error.into(), "mounting the volume at", path)
        })
    }

    /// Takes back the mount of the layer, after that of its files.
    pub(super) fn unmount_layer(&self, volume: &Volume) {
        // One that is gone is not mounted; else it stays mounted until it is removed.
        if let Ok((store, layer)) = self.layer_of(volume) {
            let _ = store.unmount_layer(&layer, false);
        }
    }
}
