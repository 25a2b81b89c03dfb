//! Taking what was staged into the store.
//!
//! Everything long is done before any lock is taken: directories are prepared where they are
//! staged, big data is written beside them, and one `syncfs` puts all of it on the disk. Under the
//! locks there is nothing but renaming and two writes of `layers.json` and one of `images.json`.
//! A layer's record says that it is incomplete until its files have their place, so whoever comes
//! after a crash takes it away; an image's record is written when everything else is there.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::big_data;
use crate::book::Book;
use crate::cache::not_found;
use crate::delete::{Trash, TrashOf, discard_incomplete, discard_layer};
use crate::driver::overlay::{self, Lowers};
use crate::driver::{copy, copy_owner_and_mode, vfs};
use crate::layers::MAX_CHAIN;
use crate::names::{IMAGE_PLACE, assign_names, deduplicated, note_data, write_data};
use crate::new_image::{NewImage, NewLayer};
use crate::order::{Held, Writing};
use crate::place::Kind;
use crate::record::{ImageRecord, LayerRecord};
use crate::staged::{StagedLayer, now};
use crate::temp::{TempDir, remove_tree};
use crate::unfinished::Unfinished;
use crate::{
    DriverKind, Durability, Error, ErrorKind, Id, Image, Layer, Result, Store, file, random,
    rebuild, superseded,
};

/// How often layers are prepared that others store and delete again and again meanwhile.
const MAX_TRIES: usize = 10;

/// A staged layer that is ready to get its place.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) id: Id,
    /// The layers below, the nearest first.
    pub(crate) lowers: Vec<Id>,
    pub(crate) record: LayerRecord,
    /// What becomes the recipe for the layer's tar stream.
    pub(crate) tar_split: PathBuf,
    /// What becomes the layer's directory.
    pub(crate) directory: PathBuf,
    /// The layer's files, in there.
    pub(crate) files: PathBuf,
    /// The name of its short link.
    pub(crate) link: String,
    pub(crate) found_by: Lowers,
}

type LayersAndImages<'s> = Held<'s, Writing, Writing>;

impl Store {
    /// Takes an image with its layers into the store, all or nothing, and gives it its names.
    ///
    /// Layers that somebody else stored meanwhile are taken from there. An image that is there
    /// already gets the names and whatever files are new; its record is kept.
    ///
    /// # Errors
    /// [`ErrorKind::DigestMismatch`] where layers or files are not what the config and their keys
    /// say; [`ErrorKind::NotFound`] where a layer that should be present is not, [`ErrorKind::Gone`] where it is no
    /// longer;
    /// [`ErrorKind::InvalidName`]; [`ErrorKind::ReadOnly`], [`ErrorKind::Locked`],
    /// [`ErrorKind::NoSpace`], [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    pub fn commit_image(&self, image: NewImage) -> Result<Image> {
        let inner = &self.inner;
        image.check()?;
        self.settle()?;
        let names = deduplicated(image.names.clone())?;
        let ids = image.layer_ids()?;
        if ids.len() > MAX_CHAIN {
            return Err(Error::new(ErrorKind::LimitExceeded, "storing the image", &image.id)
                .with_detail(format!("it has {} layers, {MAX_CHAIN} are allowed", ids.len())));
        }
        let mut records = TempDir::create(&inner.temp_root(IMAGE_PLACE, TrashOf::Records))?;
        let data = stage_data(&mut records, &image)?;
        let record = new_record(&image, &ids, &names);
        let record = self.with_ready(&ids, &image.layers, |ready| {
            match self.options().durability {
                Durability::Full if ready.is_empty() => file::sync_files(&data)?,
                _ => {
                    // Together with the layers it costs nothing to have it on the disk.
                    let _ = rebuild::keep_copy(&data, &record);
                    self.sync_staged()?;
                }
            }
            self.list_image(&image, (record.clone(), names.clone()), &ids, ready, &data)
        });
        // What was staged and not needed goes without being swept.
        drop((records, image));
        self.tidy();
        Ok(self.image_view(IMAGE_PLACE, &record?))
    }

    /// Gives an image and its layers their places and their records.
    fn list_image(
        &self,
        image: &NewImage,
        named: (ImageRecord, Vec<String>),
        ids: &[Id],
        ready: Vec<Ready>,
        data: &Path,
    ) -> Result<Arc<ImageRecord>> {
        let inner = &self.inner;
        let mut trash = Trash::default();
        let free = inner.hold().unless_given_up(image.given_up.as_deref());
        let held = free.layers::<Writing>()?.images::<Writing>()?;
        let known = held.layer_book()?;
        let new = ready.iter().rev().map(|ready| ready.id.clone());
        let new = new.filter(|id| known.by_id(id.as_str()).is_none()).collect();
        // A book that somebody has is copied when it is changed.
        drop(known);
        let note = Unfinished::note(inner, &held, Kind::Image, &image.id, new)?;
        self.put_layers(&held, ids, ready, &mut trash)?;
        let record = self.put_image(&held, image, named, data, &mut trash)?;
        note.forget(inner);
        drop(held);
        trash.empty()?;
        Ok(record)
    }

    /// Takes one layer into the store, upon another or as a base.
    ///
    /// What the store has already is not stored again: the layer that is there is given. A layer
    /// that no image has is taken away when the store is pruned.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where the layer below is not there; otherwise as
    /// [`commit_image`](Self::commit_image).
    pub fn commit_layer(&self, parent: Option<&Id>, staged: StagedLayer) -> Result<Layer> {
        let inner = &self.inner;
        let below = match parent {
            Some(parent) => self.layer_chain(parent)?,
            None => Vec::new(),
        };
        if below.len() >= MAX_CHAIN {
            return Err(Error::new(ErrorKind::LimitExceeded, "storing a layer upon", &below[0].id)
                .with_detail(format!("it is upon {MAX_CHAIN} layers, more are not allowed")));
        }
        let id = Id::of_layer(parent, staged.diff_digest());
        let mut ids: Vec<Id> = below.iter().rev().map(|layer| layer.id.clone()).collect();
        let mut layers: Vec<NewLayer> = ids.iter().cloned().map(NewLayer::Present).collect();
        ids.push(id.clone());
        layers.push(NewLayer::Staged(staged));
        if let Some(pending) = &inner.pending {
            let ready = self.make_ready(&ids, &layers)?;
            return self.have_wait(pending, &id, ready);
        }
        self.with_ready(&ids, &layers, |ready| {
            if !ready.is_empty() {
                self.sync_staged()?;
            }
            let mut trash = Trash::default();
            let held = inner.hold().layers::<Writing>()?;
            self.put_layers(&held, &ids, ready, &mut trash)?;
            drop(held);
            trash.empty()
        })?;
        drop(layers);
        self.tidy();
        self.layer(&id)?.ok_or_else(|| not_found("storing the layer", &id))
    }

    /// Puts on the disk what is about to get its place.
    pub(crate) fn sync_staged(&self) -> Result<()> {
        if self.options().durability == Durability::None {
            return Ok(());
        }
        let place = &self.inner.places[IMAGE_PLACE];
        let directory = place.driver_directory();
        file::sync_file_systems(place.root(), &directory)?;
        self.inner.write_behind.check(&directory)
    }

    /// Does what is to be done with the layers that are not in the store, prepared; once more where a layer that
    /// was there is deleted meanwhile, and was staged too.
    fn with_ready<T>(
        &self,
        ids: &[Id],
        layers: &[NewLayer],
        put: impl Fn(Vec<Ready>) -> Result<T>,
    ) -> Result<T> {
        for _ in 1..MAX_TRIES {
            let done = self.make_ready(ids, layers).and_then(&put);
            // A layer that is being deleted has lost its directory, or its link, before its record.
            let goes =
                |kind| matches!(kind, ErrorKind::Gone | ErrorKind::NotFound | ErrorKind::Corrupt);
            if !done.as_ref().is_err_and(|error| goes(error.kind())) {
                return done;
            }
            for (id, layer) in ids.iter().zip(layers) {
                if matches!(layer, NewLayer::Present(_)) && self.layer(id)?.is_none() {
                    return done;
                }
            }
        }
        put(self.make_ready(ids, layers)?)
    }

    /// Prepares the directories of all layers that are not in the store.
    fn make_ready(&self, ids: &[Id], layers: &[NewLayer]) -> Result<Vec<Ready>> {
        let mut ready: Vec<Ready> = Vec::new();
        let mut fresh = HashMap::new();
        for (index, layer) in layers.iter().enumerate() {
            let NewLayer::Staged(staged) = layer else { continue };
            if self.layer(&ids[index])?.is_some() {
                continue;
            }
            let lowers: Vec<Id> = ids[..index].iter().rev().cloned().collect();
            let parent = match (lowers.first(), ready.last()) {
                (None, _) => None,
                (Some(parent), Some(last)) if *parent == last.id => Some(last.files.clone()),
                (Some(parent), _) => Some(self.inner.place_of_layer(parent)?.layer_files(parent)),
            };
            if let Some(parent) = &parent {
                let files = staged.0.tree.clone().unwrap_or_else(|| staged.files());
                copy_owner_and_mode(parent, &files, self.options().rootless)?;
            }
            let link = random::link_name();
            let (directory, found_by) = match self.driver() {
                DriverKind::Overlay => {
                    let found_by = Lowers::of(&self.inner, &lowers, &fresh)?;
                    overlay::prepare(&staged.0.directory, &link, &found_by)?;
                    (staged.0.directory.clone(), found_by)
                }
                DriverKind::Vfs => (self.whole_tree(staged, parent.as_deref())?, Lowers::default()),
            };
            fresh.insert(ids[index].clone(), link.clone());
            let id = ids[index].clone();
            let files = match self.driver() {
                DriverKind::Overlay => staged.files(),
                DriverKind::Vfs => directory.clone(),
            };
            let record = staged.record(id.clone(), lowers.first().cloned());
            let tar_split = staged.0.tar_split.clone();
            ready.push(Ready { id, lowers, record, tar_split, directory, files, link, found_by });
        }
        Ok(ready)
    }

    /// Puts a layer's files over a copy of its parent's.
    fn whole_tree(&self, staged: &StagedLayer, parent: Option<&Path>) -> Result<PathBuf> {
        if let Some(tree) = &staged.0.tree {
            return Ok(tree.clone());
        }
        let rootless = self.options().rootless;
        let tree = staged.0.directory.join("tree");
        if tree.is_dir() {
            // It was made ready before.
            return Ok(tree);
        }
        // What is half made has another name: it is not made once more where its own files are in it already.
        let half = staged.0.directory.join("half");
        match parent {
            Some(parent) => copy_parent(parent, &half, rootless).inspect_err(|_| {
                let _ = remove_tree(&half);
            })?,
            None => fs::create_dir(&half)
                .map_err(|error| Error::io(error, "making the directory", &half))?,
        }
        vfs::merge(&staged.files(), &half, rootless)?;
        file::rename(&half, &tree, "placing")?;
        Ok(tree)
    }

    /// Gives the layers their places and their records.
    pub(crate) fn put_layers<I>(
        &self,
        held: &Held<'_, Writing, I>,
        ids: &[Id],
        ready: Vec<Ready>,
        trash: &mut Trash,
    ) -> Result<()> {
        let mut book = held.layer_book()?;
        discard_incomplete(&self.inner, held, &mut book, trash)?;
        let is_there = |book: &Book<LayerRecord>, id: &Id| match book.by_id(id.as_str()) {
            Some(_) => Ok(true),
            None => Ok(self.layer(id)?.is_some_and(|layer| !self.inner.is_pending(layer.place))),
        };
        let mut wanted = Vec::new();
        for ready in ready {
            if !is_there(&book, &ready.id)? {
                wanted.push(ready);
            }
        }
        let coming: HashSet<&Id> = wanted.iter().map(|ready| &ready.id).collect();
        for id in ids {
            if !coming.contains(id) && !is_there(&book, id)? {
                return Err(gone(id));
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        for ready in &wanted {
            let mut record = ready.record.clone();
            record.set_incomplete(true);
            book.put(IMAGE_PLACE, record);
        }
        held.save_layers(&mut book)?;
        for ready in &wanted {
            self.put_layer(ready, &wanted, trash)?;
            book.change(&ready.id, |record| record.set_incomplete(false));
        }
        self.sync_places()?;
        held.save_layers(&mut book)
    }

    fn put_layer(&self, ready: &Ready, all: &[Ready], trash: &mut Trash) -> Result<()> {
        let place = &self.inner.places[IMAGE_PLACE];
        // Whatever is there is nobody's.
        discard_layer(&self.inner, IMAGE_PLACE, &ready.id, trash)?;
        match self.driver() {
            DriverKind::Overlay => {
                // Somebody else may have stored one of those below, with another link.
                let fresh = all.iter().map(|ready| (ready.id.clone(), ready.link.clone()));
                let found_by = Lowers::of(&self.inner, &ready.lowers, &fresh.collect())?;
                if found_by != ready.found_by {
                    found_by.write(&ready.directory)?;
                }
                overlay::put(place, &ready.id, &ready.directory, &ready.link)?;
            }
            DriverKind::Vfs => {
                let target = place.layer_directory(&ready.id);
                file::make_directories(target.parent().unwrap_or(&target), 0o700)?;
                file::rename(&ready.directory, &target, "placing")?;
            }
        }
        let tar_split = place.tar_split_path(&ready.id);
        file::rename(&ready.tar_split, &tar_split, "placing")
    }

    /// Puts on the disk which directories have which names.
    fn sync_places(&self) -> Result<()> {
        if self.options().durability == Durability::None {
            return Ok(());
        }
        let place = &self.inner.places[IMAGE_PLACE];
        let driver = place.driver_directory();
        let below = match self.driver() {
            DriverKind::Overlay => driver.join("l"),
            DriverKind::Vfs => driver.join("dir"),
        };
        file::sync_directory(&below)?;
        file::sync_directory(&driver)
    }

    /// Gives the image its files and its record.
    fn put_image(
        &self,
        held: &LayersAndImages<'_>,
        image: &NewImage,
        (new, names): (ImageRecord, Vec<String>),
        data: &Path,
        trash: &mut Trash,
    ) -> Result<Arc<ImageRecord>> {
        let mut book = held.image_book()?;
        held.begin_images(&mut book)?;
        let known = book.by_id(image.id.as_str()).cloned();
        let mut record = known.as_ref().map_or(new, |known| ImageRecord::clone(known));
        self.place_data(image, known.as_deref(), data, trash)?;
        note_image(&mut record, image);
        let mut all = names;
        all.extend(record.names.iter().cloned());
        book.put(IMAGE_PLACE, record);
        assign_names(&mut book, &image.id, deduplicated(all)?);
        held.save_images(&mut book)?;
        if known.is_some() {
            let place = &self.inner.places[IMAGE_PLACE];
            superseded::forget(&place.big_data_directory(Kind::Image, &image.id));
        }
        let record = book.by_id(image.id.as_str()).cloned();
        Ok(record.expect("it was just put there"))
    }

    fn place_data(
        &self,
        image: &NewImage,
        known: Option<&ImageRecord>,
        data: &Path,
        trash: &mut Trash,
    ) -> Result<()> {
        let place = &self.inner.places[IMAGE_PLACE];
        let directory = place.big_data_directory(Kind::Image, &image.id);
        if let Some(known) = known {
            superseded::take_back(&directory, known)?;
            let is_there = |key: &str, bytes: &[u8]| {
                let path = directory.join(big_data::file_name(key));
                file::read(&path, big_data::MAX_BYTES)
                    .is_ok_and(|found| found.is_some_and(|(found, _)| found == bytes))
            };
            let mut missing = image.data.iter().filter(|(key, bytes)| !is_there(key, bytes));
            return missing.try_for_each(|(key, bytes)| {
                write_data(&self.inner, IMAGE_PLACE, known, key, bytes)
            });
        }
        trash.take(&self.inner, IMAGE_PLACE, TrashOf::Records, &directory)?;
        file::rename(data, &directory, "placing")
    }
}

/// Copies the files of a layer, unless somebody deletes it meanwhile.
fn copy_parent(parent: &Path, tree: &Path, rootless: bool) -> Result<()> {
    let failed = |error| Error::io(error, "looking at", parent);
    // As long as it is open, no other one is it.
    let opened = File::open(parent).map_err(failed)?;
    copy::tree(parent, tree, rootless)?;
    let (before, now) = (opened.metadata().map_err(failed)?, fs::metadata(parent).map_err(failed)?);
    // Before anything of it is deleted, it has another name.
    match (before.dev(), before.ino()) == (now.dev(), now.ino()) {
        true => Ok(()),
        false => Err(gone(parent.display())),
    }
}

fn gone(layer: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Gone, "storing the image on layer", layer)
        .with_detail("somebody deleted it meanwhile")
        .with_hint("try again")
}

/// The record of an image that is not there yet.
fn new_record(image: &NewImage, layers: &[Id], names: &[String]) -> ImageRecord {
    let mut record = ImageRecord::new(image.id.clone());
    record.digest.clone_from(&image.digest);
    record.created = image.created.or_else(now);
    record.top_layer = layers.last().cloned();
    names.iter().for_each(|name| record.remember_name(name));
    names.clone_into(&mut record.names);
    note_image(&mut record, image);
    record
}

/// Notes what every new image brings, also one that is there already.
fn note_image(record: &mut ImageRecord, image: &NewImage) {
    image.metadata.clone_into(&mut record.metadata);
    for (key, bytes) in &image.data {
        note_data(record, key, bytes);
    }
}

/// Writes the files of an image where they are staged.
fn stage_data(records: &mut TempDir, image: &NewImage) -> Result<PathBuf> {
    let directory = records.next_path("image");
    file::make_directories(&directory, 0o700)?;
    for (key, bytes) in &image.data {
        // All of them are synced together.
        file::replace(&directory.join(big_data::file_name(key)), bytes, 0o600, Durability::None)?;
    }
    Ok(directory)
}
