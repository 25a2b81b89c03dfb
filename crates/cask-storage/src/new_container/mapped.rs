//! Images once more, with files of other owners: for containers with users of their own where the kernel does not
//! shift owners, as for users without privileges and with vfs.
//!
//! Source: containers/storage, `store.go`, `imageTopLayerForMapping`.

use std::collections::HashMap;

use super::{ReadyLayer, on_disk};
use crate::cache::not_found;
use crate::delete::{Books, Trash, TrashOf};
use crate::driver::copy;
use crate::driver::overlay::{self, Lowers};
use crate::record::{IdMap, LayerRecord};
use crate::staged::now;
use crate::temp::TempDir;
use crate::{DriverKind, Id, Image, Result, Store, file, random};

impl Store {
    /// Finds a layer with all files of an image that belong to whom these maps say, or makes one. Whoever is in no
    /// range stays who that is.
    ///
    /// The image names it, and it goes with the image. Where the kernel can, layers are better mounted with
    /// [`MountOptions::owners`](crate::MountOptions::owners): here all files are copied.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for the image; [`ErrorKind::Unsupported`] for images that cannot be mounted;
    /// [`ErrorKind::ReadOnly`], [`ErrorKind::NoSpace`], [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    pub fn map_image(&self, id: &Id, uid_map: &[IdMap], gid_map: &[IdMap]) -> Result<Id> {
        let image = self.image(id)?.ok_or_else(|| not_found("mapping the image", id))?;
        if let Some(found) = self.mapped_layer(&image, uid_map, gid_map)? {
            return Ok(found);
        }
        let ready = self.copy_mapped(id, uid_map, gid_map)?;
        let inner = &self.inner;
        let held = inner.hold_all()?;
        let mut trash = Trash::default();
        let mut books = Books::begin(inner, &held, &mut trash)?;
        let found = books.images.by_id(id.as_str()).cloned();
        let mut record = found
            .ok_or_else(|| not_found("mapping the image", id))
            .map(|found| (*found).clone())?;
        let place = books.images.place_of(id.as_str()).unwrap_or_default();
        // Incomplete until it is in its place: else the dead would leave a layer without files.
        let at = inner.container_place();
        let mut layer = LayerRecord::new(ready.id.clone());
        layer.created = now();
        (layer.uid_map, layer.gid_map) = (uid_map.to_vec(), gid_map.to_vec());
        layer.set_incomplete(true);
        books.layers.put(at, layer.clone());
        held.save_layers(&mut books.layers)?;
        self.place_layer(&ready)?;
        layer.set_incomplete(false);
        books.layers.put(at, layer);
        held.save_layers(&mut books.layers)?;
        record.mapped_layers.push(ready.id.to_string());
        books.images.put(place, record);
        held.save_images(&mut books.images)?;
        drop(held);
        trash.empty()?;
        Ok(ready.id.clone())
    }

    /// A layer of an image with these maps.
    fn mapped_layer(&self, image: &Image, uids: &[IdMap], gids: &[IdMap]) -> Result<Option<Id>> {
        for id in image.mapped_layers.iter().filter_map(|id| Id::recorded(id).ok()) {
            if let Some(layer) = self.layer(&id)?
                && !layer.is_incomplete()
                && (layer.uid_map.as_slice(), layer.gid_map.as_slice()) == (uids, gids)
            {
                // One of podman may stand upon others, which the kernel puts together as always.
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    fn copy_mapped(&self, id: &Id, uid_map: &[IdMap], gid_map: &[IdMap]) -> Result<ReadyLayer> {
        let inner = &self.inner;
        let mut temp = TempDir::create(&inner.temp_root(inner.container_place(), TrashOf::Driver))?;
        let directory = temp.next_path("addition");
        let link = random::link_name();
        let files = match self.driver() {
            DriverKind::Overlay => {
                file::make_directories(&directory, 0o700)?;
                directory.join("diff")
            }
            DriverKind::Vfs => directory.clone(),
        };
        let from = self.mount_image(id)?;
        let (users, groups) = (uid_map.to_vec(), gid_map.to_vec());
        let owners = move |user, group| {
            (on_disk(&users, user).unwrap_or(user), on_disk(&groups, group).unwrap_or(group))
        };
        let rootless = self.options().rootless;
        let copied = copy::mapped(&from, &files, rootless, owners);
        let unmounted = self.unmount_image(id, false);
        copied?;
        unmounted?;
        if self.driver() == DriverKind::Overlay {
            let found_by = Lowers::of(inner, &[], &HashMap::new())?;
            overlay::prepare(&directory, &link, &found_by)?;
        }
        Ok(ReadyLayer { _temp: temp, directory, id: Id::random(), parent: None, link })
    }
}
