//! Deleting images, layers and containers.
//!
//! Under the locks only records are written and directories renamed; what they held is deleted
//! afterwards. Whoever dies in between leaves records that say so or directories that the next
//! one sweeps.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use cask_image::Digest;

use crate::book::Book;
use crate::cache::not_found;
use crate::mount_points::MountPoints;
use crate::order::{Held, Writing};
use crate::place::Kind;
use crate::record::{ContainerRecord, ImageRecord, LayerRecord};
use crate::store::Inner;
use crate::temp::{DRIVER_ROOT, TempDir, remove_tree};
use crate::unfinished::Unfinished;
use crate::{
    Error, ErrorKind, Id, Result, Store, driver, mount, reserve, temp, transient, working,
};

/// What was deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deleted {
    /// The images.
    pub images: Vec<Id>,
    /// The layers, each before its parent.
    pub layers: Vec<Id>,
    /// The containers.
    pub containers: Vec<Id>,
}

pub(crate) type AllHeld<'s> = Held<'s, Writing, Writing, Writing>;

/// All records that can be changed.
pub(crate) struct Books {
    pub(crate) layers: Book<LayerRecord>,
    pub(crate) images: Book<ImageRecord>,
    pub(crate) containers: Book<ContainerRecord>,
}

impl Books {
    pub(crate) fn load(held: &AllHeld<'_>) -> Result<Self> {
        Ok(Self {
            layers: held.layer_book()?,
            images: held.image_book()?,
            containers: held.container_book()?,
        })
    }

    /// Reads the records, and takes away the layers that the dead left half made or half deleted.
    pub(crate) fn begin(store: &Inner, held: &AllHeld<'_>, trash: &mut Trash) -> Result<Self> {
        let mut books = Self::load(held)?;
        discard_incomplete(store, held, &mut books.layers, trash)?;
        Ok(books)
    }
}

impl Store {
    /// Deletes an image and the layers that nothing else needs.
    ///
    /// Works on a full disk.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::InUse`] where a container was made from it;
    /// [`ErrorKind::ReadOnly`] for an image of an additional store; [`ErrorKind::Locked`],
    /// [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    pub fn delete_image(&self, id: &Id) -> Result<Deleted> {
        let deleted = self.unlist_image(id);
        self.tidy();
        deleted
    }

    fn unlist_image(&self, id: &Id) -> Result<Deleted> {
        let inner = &self.inner;
        let held = inner.hold_all()?;
        let mut trash = Trash::default();
        let mut books = Books::begin(inner, &held, &mut trash)?;
        let image = self.deletable_image(&books, id)?;
        let doomed = removable_layers(&books, &image);
        let place = books.images.place_of(id.as_str()).unwrap_or_default();
        let note = Unfinished::note(inner, &held, Kind::Image, id, doomed.clone())?;
        books.images.remove(id);
        held.save_images(&mut books.images)?;
        let blobs = blobs_of(&books, &doomed);
        delete_layers(inner, &held, &mut books.layers, &doomed, &mut trash)?;
        note.discard_directories(inner, place, &mut trash)?;
        note.forget(inner);
        drop(held);
        trash.empty()?;
        self.forget_kept_blobs(&blobs);
        Ok(Deleted { images: vec![id.clone()], layers: doomed, ..Deleted::default() })
    }

    fn deletable_image(&self, books: &Books, id: &Id) -> Result<ImageRecord> {
        let Some(image) = books.images.by_id(id.as_str()) else {
            return Err(match self.image(id)? {
                Some(_) => Error::new(ErrorKind::ReadOnly, "deleting the image", id)
                    .with_detail("it is in an additional store, which can only be read"),
                None => not_found("deleting the image", id),
            });
        };
        let user =
            books.containers.records().find(|container| container.image.as_ref() == Some(id));
        match user {
            Some(user) => Err(Error::new(ErrorKind::InUse, "deleting the image", id)
                .with_detail(format!("image used by {}: image is in use by a container", user.id))
                .with_hint("remove the container first, or force the removal of both")),
            None => Ok(ImageRecord::clone(image)),
        }
    }

    /// Deletes a layer that nothing is built on and no image and no container needs.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::InUse`]; otherwise as
    /// [`delete_image`](Self::delete_image).
    pub fn delete_layer(&self, id: &Id) -> Result<Deleted> {
        let held = self.inner.hold_all()?;
        let mut trash = Trash::default();
        let mut books = Books::begin(&self.inner, &held, &mut trash)?;
        if books.layers.by_id(id.as_str()).is_none() {
            return Err(not_found("deleting the layer", id));
        }
        if let Some(user) = user_of_layer(&books, id, &[]) {
            return Err(Error::new(ErrorKind::InUse, "deleting the layer", id)
                .with_detail(format!("{user} needs it")));
        }
        let doomed = vec![id.clone()];
        let blobs = blobs_of(&books, &doomed);
        delete_layers(&self.inner, &held, &mut books.layers, &doomed, &mut trash)?;
        drop(held);
        trash.empty()?;
        self.forget_kept_blobs(&blobs);
        Ok(Deleted { layers: doomed, ..Deleted::default() })
    }

    /// Deletes a container with the layer that it writes to and its directories.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; otherwise as [`delete_image`](Self::delete_image).
    pub fn delete_container(&self, id: &Id) -> Result<Deleted> {
        let (deleted, leftovers) = self.unlist_container(id)?;
        leftovers.delete()?;
        Ok(deleted)
    }

    /// Takes a container out of the store, with the layer that it writes to and its directories: afterwards nothing
    /// names it. Deleting what it held takes as long as it wrote much, and is left to the caller.
    ///
    /// # Errors
    /// As [`delete_container`](Self::delete_container).
    pub fn unlist_container(&self, id: &Id) -> Result<(Deleted, Leftovers)> {
        let mut leftovers = Leftovers { store: self.clone(), trash: Trash::default() };
        let deleted = self.take_container(id, &mut leftovers.trash)?;
        Ok((deleted, leftovers))
    }

    fn take_container(&self, id: &Id, trash: &mut Trash) -> Result<Deleted> {
        let inner = &self.inner;
        let held = inner.hold_all()?;
        let mut books = Books::begin(inner, &held, trash)?;
        let container = books.containers.by_id(id.as_str()).cloned();
        let container = container.ok_or_else(|| not_found("deleting the container", id))?;
        let mut doomed: Vec<Id> = container.layer.iter().cloned().collect();
        doomed.retain(|layer| books.layers.by_id(layer.as_str()).is_some());
        // What cannot be unmounted is not deleted.
        unmount_all(inner, &held, &doomed)?;
        let note = Unfinished::note(inner, &held, Kind::Container, id, doomed.clone())?;
        let places: Vec<usize> =
            doomed.iter().filter_map(|layer| books.layers.place_of(layer.as_str())).collect();
        books.containers.remove(id);
        doomed.iter().for_each(|layer| drop(books.layers.remove(layer)));
        // That it is gone need not survive a loss of power. Should we die, the note says what is left.
        held.save_removed(&mut books.layers, &mut books.containers)?;
        for (layer, place) in doomed.iter().zip(places) {
            discard_layer(inner, place, layer, trash)?;
        }
        note.discard_directories(inner, inner.container_place(), trash)?;
        note.forget(inner);
        transient::forget(inner, id);
        Ok(Deleted { layers: doomed, containers: vec![id.clone()], ..Deleted::default() })
    }

    /// What whoever changed the store does last, without locks: deletes what the dead left where
    /// layers come and go, and keeps back again what deleting on a full disk may have used. That
    /// it fails is no reason for the change to fail.
    pub(crate) fn tidy(&self) {
        self.sweep();
        self.trim_kept_blobs();
        self.refill_reserve();
    }

    /// Deletes what the dead left, without locks.
    pub(crate) fn sweep(&self) {
        let _ = working::sweep(&self.inner);
        let _ = self.take_back_unfinished();
        let _ = self.sweep_transient();
        for place in self.inner.writable_places() {
            for of in [TrashOf::Driver, TrashOf::Records] {
                let _ = temp::sweep(&self.inner.temp_root(place, of));
            }
        }
    }

    /// Keeps back again what deleting on a full disk may have used.
    pub(crate) fn refill_reserve(&self) {
        let place = &self.inner.places[0];
        let files = [Kind::Layer, Kind::Image].map(|kind| {
            let name = format!("{}.json", kind.plural());
            fs::metadata(place.directory(kind).join(name)).map_or(0, |found| found.len())
        });
        reserve::keep(self.graph_root(), files.iter().sum());
    }
}

impl Inner {
    /// Takes all locks for writing.
    pub(crate) fn hold_all(&self) -> Result<AllHeld<'_>> {
        self.hold().layers::<Writing>()?.images::<Writing>()?.containers::<Writing>()
    }
}

/// The blobs that layers came as.
pub(crate) fn blobs_of(books: &Books, layers: &[Id]) -> Vec<Digest> {
    let records = layers.iter().filter_map(|id| books.layers.by_id(id.as_str()));
    records.filter_map(|layer| layer.compressed_digest.clone()).collect()
}

/// Who needs a layer, other than layers that go with it.
pub(crate) fn user_of_layer(books: &Books, id: &Id, doomed: &[Id]) -> Option<String> {
    let word = id.as_str();
    let is_child = |layer: &&Arc<LayerRecord>| {
        layer.parent.as_ref() == Some(id) && !doomed.contains(&layer.id)
    };
    let child = books.layers.mentioning(word).find(is_child);
    let image = || books.images.mentioning(word).find(|image| has_on_top(image, id));
    let container = || books.containers.mentioning(word).find(|c| c.layer.as_ref() == Some(id));
    child
        .map(|child| format!("layer {}", child.id))
        .or_else(|| image().map(|image| format!("image {}", image.id)))
        .or_else(|| container().map(|container| format!("container {}", container.id)))
}

fn has_on_top(image: &ImageRecord, layer: &Id) -> bool {
    image.top_layer.as_ref() == Some(layer)
        || image.mapped_layers.iter().any(|mapped| mapped == layer.as_str())
}

/// The layers of an image that nothing needs once it is gone, each before its parent.
///
/// Source: containers/storage, `store.go`, `DeleteImage`.
pub(crate) fn removable_layers(books: &Books, image: &ImageRecord) -> Vec<Id> {
    let mut children: HashMap<&Id, Vec<&Id>> = HashMap::new();
    for layer in books.layers.records() {
        if let Some(parent) = &layer.parent {
            children.entry(parent).or_default().push(&layer.id);
        }
    }
    let others = books.images.records().filter(|other| other.id != image.id);
    let needed: HashSet<&str> = others
        .flat_map(|other| {
            let mapped = other.mapped_layers.iter().map(String::as_str);
            other.top_layer.iter().map(Id::as_str).chain(mapped)
        })
        .chain(books.containers.records().filter_map(|c| c.layer.as_ref()).map(Id::as_str))
        .collect();
    let mut doomed: Vec<Id> = Vec::new();
    // A mapped copy is beside the top layer.
    for mapped in image.mapped_layers.iter().filter_map(|id| Id::recorded(id).ok()) {
        let free = !needed.contains(mapped.as_str()) && !children.contains_key(&mapped);
        if free && books.layers.by_id(mapped.as_str()).is_some() {
            doomed.push(mapped);
        }
    }
    let mut next = image.top_layer.clone();
    while let Some(id) = next {
        let Some(layer) = books.layers.by_id(id.as_str()) else { break };
        let used = children.get(&id).is_some_and(|all| all.iter().any(|c| !doomed.contains(c)));
        if used || needed.contains(id.as_str()) || doomed.contains(&id) {
            break;
        }
        next = layer.parent.clone();
        doomed.push(id);
    }
    doomed
}

/// Takes layers out of the store: their records go, what they have on the disk is moved away.
pub(crate) fn delete_layers(
    store: &Inner,
    held: &AllHeld<'_>,
    book: &mut Book<LayerRecord>,
    doomed: &[Id],
    trash: &mut Trash,
) -> Result<()> {
    if doomed.is_empty() {
        return Ok(());
    }
    unmount_all(store, held, doomed)?;
    // Whoever comes next finishes this, should we die.
    for id in doomed {
        book.change(id, |layer| layer.set_incomplete(true));
    }
    held.save_layers(book)?;
    for id in doomed {
        let Some(place) = book.place_of(id.as_str()) else { continue };
        discard_layer(store, place, id, trash)?;
        book.remove(id);
    }
    held.save_layers(book)
}

/// Takes away what the dead left half made or half deleted. Whoever holds the write lock knows
/// that nobody works on it.
pub(crate) fn discard_incomplete<I, C>(
    store: &Inner,
    held: &Held<'_, Writing, I, C>,
    book: &mut Book<LayerRecord>,
    trash: &mut Trash,
) -> Result<()> {
    let incomplete = book.mentioning("incomplete").filter(|layer| layer.is_incomplete());
    let incomplete: Vec<Id> = incomplete.map(|layer| layer.id.clone()).collect();
    for id in &incomplete {
        let Some(place) = book.place_of(id.as_str()) else { continue };
        discard_layer(store, place, id, trash)?;
        book.remove(id);
    }
    if incomplete.is_empty() { Ok(()) } else { held.save_layers(book) }
}

/// Takes back every mount of layers that are about to go.
fn unmount_all(store: &Inner, held: &AllHeld<'_>, doomed: &[Id]) -> Result<()> {
    let lock = held.mount_points()?;
    let mut points = MountPoints::load(store)?;
    let mounted: Vec<&Id> = doomed.iter().filter(|id| points.of(id).is_some()).collect();
    for id in &mounted {
        mount::unmount_for_good(store, &mut points, id)?;
    }
    if mounted.is_empty() { Ok(()) } else { points.save(store, &lock) }
}

/// Moves away what a layer has on the disk.
pub(crate) fn discard_layer(store: &Inner, at: usize, id: &Id, trash: &mut Trash) -> Result<()> {
    let place = &store.places[at];
    for path in driver::paths(place, id) {
        trash.take(store, at, TrashOf::Driver, &path)?;
    }
    trash.take(store, at, TrashOf::Records, &place.tar_split_path(id))?;
    let big_data = place.big_data_directory(Kind::Layer, id);
    trash.take(store, at, TrashOf::Records, &big_data)?;
    Ok(())
}

/// What a container held that was taken out of the store. Nothing names it any more; it is deleted when this is dropped,
/// or, where the process dies first, by whoever changes the store next.
#[derive(Debug)]
#[must_use = "dropping it deletes what was left, which may take long"]
pub struct Leftovers {
    store: Store,
    trash: Trash,
}

impl Leftovers {
    /// Takes one more directory with everything in it, if it is there. On another file system it is deleted at once.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    pub fn add(&mut self, directory: &Path) -> Result<()> {
        let inner = &self.store.inner;
        let taken = self.trash.take(inner, inner.container_place(), TrashOf::Records, directory);
        // It may be of another file system, or the disk be full.
        taken.or_else(|_| remove_tree(directory))
    }

    /// Deletes everything.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    pub fn delete(mut self) -> Result<()> {
        std::mem::take(&mut self.trash).empty()
        // The rest goes with `drop`.
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        // Whoever changes the store next deletes what is left of it.
        let _ = std::mem::take(&mut self.trash).empty();
        self.store.tidy();
    }
}

/// Which directory something is moved to: renaming works within one mount only, and peers mount
/// the driver's directory over itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TrashOf {
    /// That of the driver.
    Driver,
    /// That of the records.
    Records,
}

/// What was moved away and is deleted when no lock is held.
#[derive(Debug, Default)]
pub(crate) struct Trash {
    directories: HashMap<(usize, TrashOf), TempDir>,
}

impl Trash {
    /// Moves a file or directory away, if it is there.
    pub(crate) fn take(
        &mut self,
        store: &Inner,
        place: usize,
        of: TrashOf,
        path: &Path,
    ) -> Result<()> {
        if fs::symlink_metadata(path).is_err() {
            return Ok(());
        }
        let directory = match self.directories.entry((place, of)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let root = store.temp_root(place, of);
                entry.insert(store.with_reserve(|| TempDir::create(&root))?)
            }
        };
        // A directory that gets another entry may need another block.
        match directory.take(path) {
            Err(error) if error.kind() == ErrorKind::NoSpace && store.give_up_reserve() => {
                directory.take(path)?;
            }
            taken => drop(taken?),
        }
        Ok(())
    }

    /// Deletes everything.
    pub(crate) fn empty(self) -> Result<()> {
        self.directories.into_values().try_for_each(TempDir::remove)
    }
}

impl Inner {
    /// Where directories that come and go are.
    pub(crate) fn temp_root(&self, place: usize, of: TrashOf) -> std::path::PathBuf {
        let place = &self.places[place];
        match of {
            TrashOf::Driver => place.driver_directory().join(DRIVER_ROOT),
            TrashOf::Records => place.directory(Kind::Layer).join("tmp"),
        }
    }
}
