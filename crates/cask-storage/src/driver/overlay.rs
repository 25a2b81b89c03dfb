//! The overlay driver.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Id;
use crate::file;
use crate::place::Place;

/// The most bytes of `lower`, `lower-layers` or `link` that are read.
const MAX_LOWER_BYTES: u64 = 1 << 20;

/// The text of a small file of the driver.
fn text(path: &Path) -> Option<String> {
    let (bytes, _) = file::read(path, MAX_LOWER_BYTES).ok()??;
    String::from_utf8(bytes).ok()
}

/// The parent of a layer: the first of its `lower-layers`, or where the first of its `lower`
/// links leads.
pub(crate) fn parent(place: &Place, id: &Id) -> Option<Id> {
    let directory = place.layer_directory(id);
    if let Some(lowers) = text(&directory.join("lower-layers")) {
        return Id::parse(lowers.split(':').next()?.trim()).ok();
    }
    let lower = text(&directory.join("lower"))?;
    let link = lower.split(':').next()?.strip_prefix("l/")?;
    Id::parse(link).ok()?;
    let target = fs::read_link(place.driver_directory().join("l").join(link)).ok()?;
    Id::parse(target.parent()?.file_name()?.to_str()?).ok()
}

/// The name of a layer's short link.
fn link_name(place: &Place, id: &Id) -> Option<String> {
    let link = text(&place.layer_directory(id).join("link"))?;
    // What is read becomes a part of a path.
    Id::parse(link.trim()).ok().map(|link| link.to_string())
}

/// Whatever a layer has in the driver's directory: the short link goes first, since the layer's
/// directory names it.
pub(crate) fn paths(place: &Place, id: &Id) -> Vec<PathBuf> {
    let link = link_name(place, id).map(|link| place.driver_directory().join("l").join(link));
    link.into_iter().chain([place.layer_directory(id)]).collect()
}
