//! The overlay driver.

use std::collections::HashMap;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use cask_files::fault;

use crate::place::Place;
use crate::record::LayerRecord;
use crate::store::Inner;
use crate::{Error, ErrorKind, Id, Result, file, random};

/// The most bytes of `lower`, `lower-layers` or `link` that are read.
const MAX_LOWER_BYTES: u64 = 1 << 20;

/// The most layers that the kernel puts on one another.
///
/// Source: containers/storage, `drivers/overlay`, `maxDepth`.
pub(crate) const MAX_LOWERS: usize = 500;

/// The text of a small file of the driver.
fn text(path: &Path) -> Option<String> {
    let (bytes, _) = file::read(path, MAX_LOWER_BYTES).ok()??;
    String::from_utf8(bytes).ok()
}

/// The layer that a short link leads to.
fn link_target(place: &Place, link: &str) -> Option<Id> {
    // What is read becomes a part of a path.
    Id::recorded(link).ok()?;
    let target = fs::read_link(place.driver_directory().join("l").join(link)).ok()?;
    Id::recorded(target.parent()?.file_name()?.to_str()?).ok()
}

/// The parent of a layer: the first of its `lower-layers`, or where the first of its `lower`
/// links leads.
pub(crate) fn parent(place: &Place, id: &Id) -> Option<Id> {
    let directory = place.layer_directory(id);
    if let Some(lowers) = text(&directory.join("lower-layers")) {
        return Id::recorded(lowers.split(':').next()?.trim()).ok();
    }
    let lower = text(&directory.join("lower"))?;
    link_target(place, lower.split(':').next()?.strip_prefix("l/")?)
}

/// The name of a layer's short link.
pub(crate) fn link_name(place: &Place, id: &Id) -> Option<String> {
    let link = text(&place.layer_directory(id).join("link"))?;
    Id::recorded(link.trim()).ok().map(|link| link.to_string())
}

/// Whatever a layer has in the driver's directory: the short link goes first, since the layer's
/// directory names it.
pub(crate) fn paths(place: &Place, id: &Id) -> Vec<PathBuf> {
    let link = link_name(place, id).map(|link| place.driver_directory().join("l").join(link));
    link.into_iter().chain([place.layer_directory(id)]).collect()
}

/// How the layers below a layer are found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lowers {
    /// Short links, for releases before 1.63.
    links: String,
    /// IDs, for those since.
    layers: String,
}

impl Lowers {
    /// How these layers are found, the nearest first. `fresh` are short links of layers that are
    /// not in their place yet.
    pub(crate) fn of(store: &Inner, lowers: &[Id], fresh: &HashMap<Id, String>) -> Result<Self> {
        let links = lowers.iter().map(|id| {
            if let Some(link) = fresh.get(id) {
                return Ok(format!("l/{link}"));
            }
            let place = store.place_of_layer(id)?;
            let link = link_name(place, id).filter(|link| link_target(place, link).is_some());
            let link = link.or_else(|| relink(place, id)).ok_or_else(|| {
                Error::new(ErrorKind::Corrupt, "finding the short link of layer", id)
                    .with_detail("its file link is missing or makes no sense")
            })?;
            Ok(format!("l/{link}"))
        });
        let links = links.collect::<Result<Vec<_>>>()?.join(":");
        let layers: Vec<&str> = lowers.iter().map(Id::as_str).collect();
        Ok(Self { links, layers: layers.join(":") })
    }

    /// What a layer's directory says.
    pub(crate) fn read(directory: &Path) -> Self {
        let text = |name: &str| text(&directory.join(name)).unwrap_or_default();
        Self { links: text("lower"), layers: text("lower-layers") }
    }

    /// Writes it down in a layer's directory.
    pub(crate) fn write(&self, directory: &Path) -> Result<()> {
        // Old releases find the layers below by one file, new ones by the other.
        write(&directory.join("lower"), &self.links)?;
        write(&directory.join("lower-layers"), &self.layers)
    }
}

/// Puts beside a layer's files whatever the driver needs, before the directory gets its place.
pub(crate) fn prepare(directory: &Path, link: &str, lowers: &Lowers) -> Result<()> {
    write(&directory.join("link"), link)?;
    make_directory(&directory.join("work"), 0o700)?;
    make_directory(&directory.join("merged"), 0o700)?;
    if lowers.layers.is_empty() {
        return make_directory(&directory.join("empty"), 0o700);
    }
    lowers.write(directory)
}

/// Gives a directory that was prepared its place.
pub(crate) fn put(place: &Place, id: &Id, directory: &Path, link: &str) -> Result<()> {
    let links = place.driver_directory().join("l");
    if !links.is_dir() {
        file::make_directories(&links, 0o755)?;
    }
    let target = place.layer_directory(id);
    file::rename(directory, &target, "placing")?;
    let path = links.join(link);
    let linked = fault::step().and_then(|()| symlink(format!("../{id}/diff"), &path));
    linked.map_err(|error| Error::io(error, "linking", &path))
}

/// Gives a layer its short link back: the one that its file names, the one that leads to it, or a
/// new one.
pub(crate) fn mend_link(place: &Place, id: &Id) -> Result<()> {
    let links = place.driver_directory().join("l");
    let named = link_name(place, id);
    match &named {
        Some(link) if link_target(place, link).as_ref() == Some(id) => return Ok(()),
        Some(link) if Id::recorded(link).is_ok() => {
            file::make_directories(&links, 0o755)?;
            let path = links.join(link);
            file::remove_if_there(&path)?;
            let linked = fault::step().and_then(|()| symlink(format!("../{id}/diff"), &path));
            return linked.map_err(|error| Error::io(error, "linking", &path));
        }
        _ => {}
    }
    let entries = fs::read_dir(&links).into_iter().flatten().flatten();
    let mut names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    if let Some(link) = names.find(|link| link_target(place, link).as_ref() == Some(id)) {
        return write(&place.layer_directory(id).join("link"), &link);
    }
    file::make_directories(&links, 0o755)?;
    relink(place, id);
    Ok(())
}

/// Gives a layer that lost its short link a new one.
fn relink(place: &Place, id: &Id) -> Option<String> {
    if place.read_only || !place.layer_directory(id).is_dir() {
        return None;
    }
    let link = random::link_name();
    symlink(format!("../{id}/diff"), place.driver_directory().join("l").join(&link)).ok()?;
    write(&place.layer_directory(id).join("link"), &link).ok()?;
    Some(link)
}

fn make_directory(path: &Path, mode: u32) -> Result<()> {
    let failed = |error| Error::io(error, "making the directory", path);
    let made = fault::step().and_then(|()| DirBuilder::new().mode(0o700).create(path));
    // A layer is prepared again where the layers below went meanwhile.
    if let Err(error) = made
        && error.kind() != std::io::ErrorKind::AlreadyExists
    {
        return Err(failed(error));
    }
    // Not cut by the umask.
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed)
}

fn write(path: &Path, text: &str) -> Result<()> {
    let written = fault::step().and_then(|()| fs::write(path, text));
    written.map_err(|error| Error::io(error, "writing", path))
}

/// The directories of a layer's files, the newest first: an ID map that is changed leaves the old
/// ones behind.
fn generations(place: &Place, id: &Id) -> impl Iterator<Item = PathBuf> {
    let directory = place.layer_directory(id);
    let older = directory.clone();
    let numbered = (1..).map(move |number| older.join(format!("diff{number}")));
    std::iter::once(directory.join("diff")).chain(numbered.take_while(|path| path.is_dir()))
}

/// What the kernel puts below a layer's own files, the uppermost first.
pub(crate) fn lower_directories(store: &Inner, id: &Id, lowers: &[Id]) -> Result<Vec<PathBuf>> {
    let own = store.place_of_layer(id)?;
    let mut directories: Vec<PathBuf> = generations(own, id).skip(1).collect();
    directories.extend(self::directories(store, lowers)?);
    if directories.is_empty() {
        directories.push(own.layer_directory(id).join("empty"));
    }
    Ok(directories)
}

/// The directories of layers that are put on one another, the uppermost first.
pub(crate) fn directories(store: &Inner, layers: &[Id]) -> Result<Vec<PathBuf>> {
    if let Some(top) = layers.first().filter(|_| layers.len() > MAX_LOWERS) {
        return Err(Error::new(ErrorKind::LimitExceeded, "mounting upon layer", top).with_detail(
            format!("it is one of {} layers, the kernel takes {MAX_LOWERS}", layers.len()),
        ));
    }
    let mut directories = Vec::with_capacity(layers.len());
    for layer in layers {
        directories.extend(generations(store.place_of_layer(layer)?, layer));
    }
    Ok(directories)
}

/// What is wrong with how a layer and those below it are found; `None` where all is well.
pub(crate) fn wrong_link(store: &Inner, place: &Place, layer: &LayerRecord) -> Option<String> {
    let directory = place.layer_directory(&layer.id);
    let Some(link) = link_name(place, &layer.id) else {
        return Some("its file link is missing or makes no sense".to_owned());
    };
    if link_target(place, &link).as_ref() != Some(&layer.id) {
        return Some(format!("its short link l/{link} is missing"));
    }
    layer.parent.as_ref()?;
    let Some(lower) = text(&directory.join("lower")) else {
        return Some("its file lower is missing".to_owned());
    };
    let lost = lower.split(':').find(|lower| {
        let link = lower.strip_prefix("l/").unwrap_or(lower);
        !store.places.iter().any(|place| link_target(place, link).is_some())
    });
    lost.map(|lost| format!("it is upon {lost}, which is missing"))
}
