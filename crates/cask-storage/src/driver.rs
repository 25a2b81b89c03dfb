//! How layers lie on the disk.

pub(crate) mod copy;
pub(crate) mod overlay;
pub(crate) mod overlay_mount;
pub(crate) mod shifted;
pub(crate) mod vfs;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use crate::place::Place;
use crate::store::Inner;
use crate::{DriverKind, Error, ErrorKind, Id, Result};

/// The parent of a layer as the driver's own files say, where they do.
pub(crate) fn parent(place: &Place, id: &Id) -> Option<Id> {
    match place.driver() {
        DriverKind::Overlay => overlay::parent(place, id),
        DriverKind::Vfs => None,
    }
}

/// Whatever a layer has in the driver's directory.
pub(crate) fn paths(place: &Place, id: &Id) -> Vec<PathBuf> {
    match place.driver() {
        DriverKind::Overlay => overlay::paths(place, id),
        DriverKind::Vfs => vec![place.layer_directory(id)],
    }
}

/// Gives a directory the owner and the mode of another.
pub(crate) fn copy_owner_and_mode(from: &Path, to: &Path, rootless: bool) -> Result<()> {
    let metadata = fs::metadata(from).map_err(|error| Error::io(error, "looking at", from))?;
    let owned = lchown(to, Some(metadata.uid()), Some(metadata.gid()));
    match owned {
        Err(_) if rootless => {}
        owned => owned.map_err(|error| Error::io(error, "changing the owner of", to))?,
    }
    let mode = fs::Permissions::from_mode(metadata.mode() & 0o7777);
    fs::set_permissions(to, mode).map_err(|error| Error::io(error, "changing the mode of", to))
}

/// Refuses layers whose files do not lie as the kernel's overlay expects.
pub(crate) fn check_plain(place: &Place, id: &Id, operation: &'static str) -> Result<()> {
    let refuse =
        |why: &'static str| Err(Error::new(ErrorKind::Unsupported, operation, id).with_detail(why));
    if place.layer_directory(id).join("composefs-data").is_dir() {
        return refuse("it is a composefs layer");
    }
    if place.layer_directory(id).join("additionallayer").is_file() {
        return refuse("it is in an additional layer store");
    }
    Ok(())
}

impl Inner {
    /// The place whose driver has a layer's files.
    pub(crate) fn place_of_layer(&self, id: &Id) -> Result<&Place> {
        let found = self.places.iter().find(|place| place.layer_directory(id).is_dir());
        found.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "finding the files of layer", id)
                .with_detail("no store has a directory for it")
        })
    }
}
