//! How layers lie on the disk.

pub(crate) mod overlay;

use std::path::PathBuf;

use crate::place::Place;
use crate::{DriverKind, Id};

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
