//! Which locks are held: the order in which the peers take them cannot be got wrong.
//!
//! A [`Held`] value says in its type what is held. Locks are taken by turning one into the next,
//! and only in one direction: layers, images, containers. Saving records needs the value that
//! holds their write lock.
//!
//! Source: containers/storage, `store.go`, "Locking order".

use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use crate::book::Book;
use crate::file::{self, Replacement};
use crate::lock::{Lock, Mode, Patience};
use crate::place::{Kept, Kind};
use crate::record::{ContainerRecord, ImageRecord, LayerRecord};
use crate::store::Inner;
use crate::{Durability, Error, ErrorKind, Result};

/// Not held.
#[derive(Debug)]
pub(crate) struct Free;
/// Held for reading.
#[derive(Debug)]
pub(crate) struct Reading;
/// Held for writing.
#[derive(Debug)]
pub(crate) struct Writing;

/// How a lock is held.
pub(crate) trait How {
    const MODE: Mode;
}

impl How for Reading {
    const MODE: Mode = Mode::Read;
}

impl How for Writing {
    const MODE: Mode = Mode::Write;
}

/// Locks that are held until this is dropped: of layers, of images, of containers.
#[derive(Debug)]
pub(crate) struct Held<'s, L = Free, I = Free, C = Free> {
    store: &'s Inner,
    patience: Patience<'s>,
    layers: Vec<(usize, Lock)>,
    images: Vec<(usize, Lock)>,
    containers: Vec<(usize, Lock)>,
    how: PhantomData<(L, I, C)>,
}

impl<'s> Held<'s> {
    /// Holds nothing yet.
    pub(crate) fn nothing(store: &'s Inner) -> Self {
        let (none, patience) = (Vec::new, store.options.lock_timeout.into());
        Held {
            store,
            patience,
            layers: none(),
            images: none(),
            containers: none(),
            how: PhantomData,
        }
    }

    /// Waits no longer than until this is set, either.
    pub(crate) fn unless_given_up(mut self, given_up: Option<&'s AtomicBool>) -> Self {
        self.patience.given_up = given_up;
        self
    }

    /// Locks the layers.
    pub(crate) fn layers<M: How>(self) -> Result<Held<'s, M>> {
        // With an image store the graph root comes first.
        let places = self.store.writable_places().rev();
        let layers = lock_all((self.store, self.patience), Kind::Layer, M::MODE, places)?;
        let Self { store, patience, images, containers, .. } = self;
        Ok(Held { store, patience, layers, images, containers, how: PhantomData })
    }
}

impl<'s, L> Held<'s, L> {
    /// Locks the images.
    pub(crate) fn images<M: How>(self) -> Result<Held<'s, L, M>> {
        let places = self.store.writable_places();
        let images = lock_all((self.store, self.patience), Kind::Image, M::MODE, places)?;
        let Self { store, patience, layers, containers, .. } = self;
        Ok(Held { store, patience, layers, images, containers, how: PhantomData })
    }
}

impl<'s, L, I> Held<'s, L, I> {
    /// Locks the containers.
    pub(crate) fn containers<M: How>(self) -> Result<Held<'s, L, I, M>> {
        let places = std::iter::once(self.store.container_place());
        let containers = lock_all((self.store, self.patience), Kind::Container, M::MODE, places)?;
        let Self { store, patience, layers, images, .. } = self;
        Ok(Held { store, patience, layers, images, containers, how: PhantomData })
    }
}

impl<L: How, I, C> Held<'_, L, I, C> {
    /// The layers as they are and remain.
    pub(crate) fn layer_book(&self) -> Result<Book<LayerRecord>> {
        Book::load(self.store, self.layers.iter().map(|(place, _)| *place))
    }

    /// Locks the counts of mounts.
    pub(crate) fn mount_points(&self) -> Result<Lock> {
        self.store.lock_mount_points()
    }
}

impl<L, I: How, C> Held<'_, L, I, C> {
    /// The images as they are and remain.
    pub(crate) fn image_book(&self) -> Result<Book<ImageRecord>> {
        Book::load(self.store, self.images.iter().map(|(place, _)| *place))
    }
}

impl<L, I, C: How> Held<'_, L, I, C> {
    /// The containers as they are and remain.
    pub(crate) fn container_book(&self) -> Result<Book<ContainerRecord>> {
        Book::load(self.store, self.containers.iter().map(|(place, _)| *place))
    }
}

impl<I, C> Held<'_, Writing, I, C> {
    /// Saves what was changed of the layers.
    pub(crate) fn save_layers(&self, book: &mut Book<LayerRecord>) -> Result<()> {
        save(self.store, &self.layers, book)
    }
}

impl<I> Held<'_, Writing, I, Writing> {
    /// Saves a container that was added, and its layer. With `lasting` it survives a loss of power
    /// from then on.
    pub(crate) fn save_added(
        &self,
        layers: &mut Book<LayerRecord>,
        containers: &mut Book<ContainerRecord>,
        lasting: bool,
    ) -> Result<()> {
        let (of_layers, of_containers) = self.write_both(layers, containers)?;
        let names = of_layers.iter().chain(&of_containers);
        let directories: Vec<PathBuf> = names.map(|one| one.directory().to_owned()).collect();
        layers.put_written(self.store, of_layers)?;
        containers.put_written(self.store, of_containers)?;
        if lasting && self.store.options.durability == Durability::Full {
            file::at_once(&directories, |path| file::sync_directory(path))?;
        }
        Ok(())
    }

    /// Saves that a container and its layer are there no more. After a loss of power they may be
    /// there again.
    pub(crate) fn save_removed(
        &self,
        layers: &mut Book<LayerRecord>,
        containers: &mut Book<ContainerRecord>,
    ) -> Result<()> {
        let (of_layers, of_containers) = self.write_both(layers, containers)?;
        containers.put_written(self.store, of_containers)?;
        layers.put_written(self.store, of_layers)
    }

    /// Writes what is to replace the files that were changed, and puts it on the disk all at the
    /// same time: a loss of power leaves the files of before, or these.
    fn write_both(
        &self,
        layers: &Book<LayerRecord>,
        containers: &Book<ContainerRecord>,
    ) -> Result<(Vec<Replacement>, Vec<Replacement>)> {
        let of_layers = layers.write(self.store, |place| find(&self.layers, place))?;
        let of_containers = containers.write(self.store, |place| find(&self.containers, place))?;
        if self.store.options.durability == Durability::Full {
            let written: Vec<&Replacement> = of_layers.iter().chain(&of_containers).collect();
            file::at_once(&written, |one| one.sync())?;
        }
        Ok((of_layers, of_containers))
    }
}

impl<L, C> Held<'_, L, Writing, C> {
    /// Has there be a list of images, before one comes.
    pub(crate) fn begin_images(&self, book: &mut Book<ImageRecord>) -> Result<()> {
        book.begin(self.store, |place| find(&self.images, place))
    }

    /// Saves what was changed of the images.
    pub(crate) fn save_images(&self, book: &mut Book<ImageRecord>) -> Result<()> {
        save(self.store, &self.images, book)
    }
}

impl<L, I> Held<'_, L, I, Writing> {
    /// Saves what was changed of the containers.
    pub(crate) fn save_containers(&self, book: &mut Book<ContainerRecord>) -> Result<()> {
        save(self.store, &self.containers, book)
    }
}

fn lock_all(
    (store, patience): (&Inner, Patience<'_>),
    kind: Kind,
    mode: Mode,
    places: impl Iterator<Item = usize>,
) -> Result<Vec<(usize, Lock)>> {
    if mode == Mode::Write && store.options.read_only {
        return Err(Error::new(
            ErrorKind::ReadOnly,
            "changing",
            store.options.graph_root.display(),
        )
        .with_detail("the store was opened for reading only"));
    }
    places
        .map(|place| {
            let path = store.places[place].lock_path(kind);
            Ok((place, Lock::acquire(&path, mode, patience)?))
        })
        .collect()
}

fn save<R: Kept>(store: &Inner, locks: &[(usize, Lock)], book: &mut Book<R>) -> Result<()> {
    book.save(store, |place| find(locks, place))
}

fn find(locks: &[(usize, Lock)], place: usize) -> &Lock {
    let lock = locks.iter().find(|(locked, _)| *locked == place);
    lock.map(|(_, lock)| lock).expect("a book holds places that are locked")
}
