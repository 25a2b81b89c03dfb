//! Making containers: a layer to write to, and a record.

mod mapped;

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use cask_json::quoted;

use crate::book::Shelf;
use crate::cache::not_found;
use crate::delete::{Books, Trash, TrashOf, delete_layers, user_of_layer};
use crate::driver::overlay::{self, Lowers};
use crate::driver::{copy, copy_owner_and_mode};
use crate::place::Kind;
use crate::record::{ContainerRecord, IdMap, LayerRecord};
use crate::staged::now;
use crate::temp::TempDir;
use crate::unfinished::Unfinished;
use crate::{
    Container, DriverKind, Error, ErrorKind, Id, Result, Store, file, random, rebuild, transient,
};

/// A container that is about to be made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewContainer {
    /// Its ID.
    pub id: Id,
    /// Its names, which no other container has.
    pub names: Vec<String>,
    /// The image that it is made from; `None` begins with an empty layer.
    pub image: Option<Id>,
    /// Names of the layer that it writes to; podman calls it like the container, with `-layer`.
    pub layer_names: Vec<String>,
    /// Free text for whoever made it.
    pub metadata: String,
    /// Whether it need not survive a loss of power. Its record is written where all releases see
    /// it all the same: those that do not would delete its layers.
    pub volatile: bool,
    /// An SELinux label for its files.
    pub mount_label: String,
    /// An SELinux label for its processes.
    pub process_label: String,
    /// Whom the users in it are on the disk; empty where they are themselves. The uppermost directory
    /// of its layer belongs to whom the image's belongs to, so mapped. The layers of the image stay
    /// as they are: [`MountOptions::owners`](crate::MountOptions::owners) has the kernel map them. With
    /// vfs it does not: there `base` has to have the files.
    pub uid_map: Vec<IdMap>,
    /// A layer that it is made upon instead of the image's: one of [`map_image`](Store::map_image).
    pub base: Option<Id>,
    /// Whom the groups in it are on the disk.
    pub gid_map: Vec<IdMap>,
}

impl NewContainer {
    /// A container with a new ID.
    pub fn new(image: Option<Id>) -> Self {
        Self {
            id: Id::random(),
            names: Vec::new(),
            image,
            layer_names: Vec::new(),
            metadata: String::new(),
            volatile: false,
            mount_label: String::new(),
            process_label: String::new(),
            uid_map: Vec::new(),
            base: None,
            gid_map: Vec::new(),
        }
    }

    fn record(&self, layer: &Id) -> ContainerRecord {
        let mut record = ContainerRecord::new(self.id.clone());
        record.names.clone_from(&self.names);
        record.image.clone_from(&self.image);
        record.layer = Some(layer.clone());
        record.metadata.clone_from(&self.metadata);
        record.created = now();
        record.uid_map.clone_from(&self.uid_map);
        record.gid_map.clone_from(&self.gid_map);
        record.flags.set_text("MountLabel", &self.mount_label);
        record.flags.set_text("ProcessLabel", &self.process_label);
        record.flags.set("Volatile", self.volatile);
        record
    }
}

/// Layers of these names that nothing uses: whoever made them was killed before there was a container.
fn orphans(books: &Books, names: &[String]) -> Vec<Id> {
    let named = names.iter().filter_map(|name| books.layers.by_name(name)).map(|layer| &layer.id);
    let mut found: Vec<Id> = named.cloned().collect();
    found.retain(|id| user_of_layer(books, id, &[]).is_none());
    found
}

/// The layer of a container, ready to get its place.
struct ReadyLayer {
    /// Holds `directory`.
    _temp: TempDir,
    directory: PathBuf,
    id: Id,
    parent: Option<Id>,
    link: String,
}

impl Store {
    /// Makes a container: a layer to write to upon an image's, and a record.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for the image or its layers; [`ErrorKind::Exists`] where the ID or
    /// a name is taken; [`ErrorKind::Unsupported`] with vfs for ID maps without a base that has
    /// them, and for maps without the owner of the image's uppermost directory; [`ErrorKind::ReadOnly`], [`ErrorKind::Locked`],
    /// [`ErrorKind::NoSpace`], [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    pub fn create_container(&self, container: &NewContainer) -> Result<Container> {
        let made = self.list_container(container);
        self.sweep();
        made?;
        self.container_named(container.id.as_str())
    }

    fn list_container(&self, container: &NewContainer) -> Result<()> {
        let layer = self.ready_layer(container)?;
        let inner = &self.inner;
        let held = inner.hold_all()?;
        let mut trash = Trash::default();
        let mut books = Books::begin(inner, &held, &mut trash)?;
        let orphans = orphans(&books, &container.layer_names);
        delete_layers(inner, &held, &mut books.layers, &orphans, &mut trash)?;
        self.check_free(&books, container, &layer)?;
        let at = inner.container_place();
        let id = &container.id;
        let note = Unfinished::note(inner, &held, Kind::Container, id, vec![layer.id.clone()])?;
        let is_transient = inner.options.transient;
        if is_transient {
            transient::note(inner, id, &layer.id)?;
        }
        // Nobody else comes upon this ID: the layer need not be listed as incomplete before it is
        // in its place.
        self.place_layer(&layer)?;
        let mut record = LayerRecord::new(layer.id.clone());
        record.names.clone_from(&container.layer_names);
        record.parent.clone_from(&layer.parent);
        record.mount_label.clone_from(&container.mount_label);
        record.created = now();
        let put_away = Shelf::of(is_transient);
        books.layers.put_on(put_away, at, record);
        for path in
            [self.container_directory(id), inner.container_run_directory(id).join("userdata")]
        {
            file::make_directories(&path, 0o700)?;
        }
        let mut record = container.record(&layer.id);
        record.flags.set("Volatile", container.volatile || is_transient);
        let directory = inner.places[at].big_data_directory(Kind::Container, id);
        if !is_transient {
            rebuild::keep_copy(&directory, &record)?;
        }
        books.containers.put_on(put_away, at, record);
        let lasting = !container.volatile && !is_transient;
        held.save_added(&mut books.layers, &mut books.containers, lasting)?;
        note.forget(inner);
        drop(held);
        trash.empty()
    }

    fn place_layer(&self, layer: &ReadyLayer) -> Result<()> {
        let place = &self.inner.places[self.inner.container_place()];
        match self.driver() {
            DriverKind::Overlay => overlay::put(place, &layer.id, &layer.directory, &layer.link),
            DriverKind::Vfs => {
                let target = place.layer_directory(&layer.id);
                file::make_directories(target.parent().unwrap_or(&target), 0o700)?;
                file::rename(&layer.directory, &target, "placing")
            }
        }
    }

    /// The directory of whatever the maker of a container keeps with it, deleted with it.
    pub fn container_directory(&self, id: &Id) -> PathBuf {
        let place = &self.inner.places[self.inner.container_place()];
        place.big_data_directory(Kind::Container, id).join("userdata")
    }

    /// The directory of what a container has until the next reboot.
    pub fn container_run_directory(&self, id: &Id) -> PathBuf {
        self.inner.container_run_directory(id).join("userdata")
    }

    fn ready_layer(&self, container: &NewContainer) -> Result<ReadyLayer> {
        let inner = &self.inner;
        let parent = match &container.image {
            _ if container.base.is_some() => container.base.clone(),
            None => None,
            Some(id) => {
                let image = self.image(id)?.ok_or_else(|| not_found("finding the image", id))?;
                image.top_layer.clone()
            }
        };
        let chain = match &parent {
            Some(parent) => self.layer_chain(parent)?,
            None => Vec::new(),
        };
        let lowers: Vec<Id> = chain.iter().map(|layer| layer.id.clone()).collect();
        let files = chain.first().map(|top| inner.places[top.place].layer_files(&top.id));
        let mut temp = TempDir::create(&inner.temp_root(inner.container_place(), TrashOf::Driver))?;
        let directory = temp.next_path("addition");
        let link = random::link_name();
        match self.driver() {
            DriverKind::Overlay => {
                file::make_directories(&directory, 0o700)?;
                let diff = directory.join("diff");
                self.empty_files(&diff, files.as_deref())?;
                if container.base.is_none() {
                    map_owner(&diff, container)?;
                }
                let found_by = Lowers::of(inner, &lowers, &HashMap::new())?;
                overlay::prepare(&directory, &link, &found_by)?;
            }
            DriverKind::Vfs => {
                match &files {
                    Some(files) => copy::tree(files, &directory, self.options().rootless)?,
                    None => self.empty_files(&directory, None)?,
                }
                if container.base.is_none() {
                    only_its_own(container, files.is_some())?;
                    map_owner(&directory, container)?;
                }
            }
        }
        Ok(ReadyLayer { _temp: temp, directory, id: Id::random(), parent, link })
    }

    /// Makes the uppermost directory of a layer, like that of its parent.
    pub(crate) fn empty_files(&self, path: &Path, parent: Option<&Path>) -> Result<()> {
        file::make_directories(path, 0o700)?;
        match parent {
            Some(parent) => copy_owner_and_mode(parent, path, self.options().rootless),
            None => fs::set_permissions(path, fs::Permissions::from_mode(0o555))
                .map_err(|error| Error::io(error, "changing the mode of", path)),
        }
    }

    fn check_free(&self, books: &Books, new: &NewContainer, layer: &ReadyLayer) -> Result<()> {
        let taken = |what: &str| {
            Err(Error::new(ErrorKind::Exists, "making the container", quoted(what))
                .with_detail("another one has this ID or this name"))
        };
        if books.containers.by_id(new.id.as_str()).is_some() {
            return taken(new.id.as_str());
        }
        if let Some(name) = new.names.iter().find(|name| books.containers.by_name(name).is_some()) {
            return taken(name);
        }
        let layer_name = new.layer_names.iter().find(|name| books.layers.by_name(name).is_some());
        if let Some(name) = layer_name {
            return taken(name);
        }
        let gone = layer.parent.as_ref().filter(|parent| {
            books.layers.by_id(parent.as_str()).is_none()
                && !matches!(self.layer(parent), Ok(Some(_)))
        });
        match gone {
            Some(gone) => Err(not_found("making the container upon layer", gone)
                .with_hint("somebody deleted it meanwhile: try again")),
            None => Ok(()),
        }
    }
}

/// Refuses whose files would belong to others than its maps say.
fn only_its_own(container: &NewContainer, has_files: bool) -> Result<()> {
    if !has_files || (container.uid_map.is_empty() && container.gid_map.is_empty()) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unsupported, "mapping the owners of", &container.id)
        .with_detail("with vfs the kernel does not map them")
        .with_hint("make it upon a copy of the image with these owners"))
}

/// Gives a directory to whom its owner is mapped.
fn map_owner(path: &Path, container: &NewContainer) -> Result<()> {
    if container.uid_map.is_empty() && container.gid_map.is_empty() {
        return Ok(());
    }
    let found = fs::metadata(path).map_err(|error| Error::io(error, "looking at", path))?;
    let (Some(user), Some(group)) =
        (on_disk(&container.uid_map, found.uid()), on_disk(&container.gid_map, found.gid()))
    else {
        return Err(Error::new(ErrorKind::Unsupported, "mapping the owners of", &container.id)
            .with_detail(format!("{}:{} is in no range of the maps", found.uid(), found.gid())));
    };
    lchown(path, Some(user), Some(group))
        .map_err(|error| Error::io(error, "changing the owner of", path))
}

/// What an ID inside is on the disk. Without ranges it is itself.
pub(crate) fn on_disk(map: &[IdMap], id: u32) -> Option<u32> {
    if map.is_empty() {
        return Some(id);
    }
    map.iter().find_map(|range| {
        let offset = id.checked_sub(range.container_id).filter(|offset| *offset < range.size)?;
        range.host_id.checked_add(offset)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_mapped_by_the_range_that_has_them() {
        let range = |container_id, host_id, size| IdMap { container_id, host_id, size };
        let map = [range(0, 1000, 1), range(1, 100_000, 65_536), range(70_000, u32::MAX - 1, 9)];
        let check = |id, expected| assert_eq!(on_disk(&map, id), expected, "{id}");
        check(0, Some(1000));
        check(1, Some(100_000));
        check(65_536, Some(165_535));
        check(65_537, None);
        check(70_001, Some(u32::MAX));
        check(70_002, None);
        assert_eq!(on_disk(&[], 7), Some(7));
    }
}
