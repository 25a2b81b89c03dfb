//! The records of a kind in all places that are locked: read, changed and saved together.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::file::Replacement;
use crate::lock::Lock;
use crate::place::{Kept, Place};
use crate::store::Inner;
use crate::table::Table;
use crate::{Id, Result};

/// Records of one kind, by the files that hold them.
#[derive(Debug)]
pub(crate) struct Book<R> {
    volumes: Vec<Volume<R>>,
}

/// Which of a place's files has a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shelf {
    /// The one that every release sees.
    Stable,
    /// The one of volatile records, which in transient stores goes with the run root.
    Volatile,
}

impl Shelf {
    /// That of containers and their layers.
    pub(crate) fn of(transient: bool) -> Self {
        if transient { Self::Volatile } else { Self::Stable }
    }
}

#[derive(Debug)]
struct Volume<R> {
    place: usize,
    /// Which of the place's files: 0 is the stable one.
    file: usize,
    table: Arc<Table<R>>,
    changed: bool,
    /// The records that were added or changed.
    fresh: Vec<Id>,
}

impl<R: Kept> Book<R> {
    /// Reads the records of these places.
    pub(crate) fn load(store: &Inner, places: impl Iterator<Item = usize>) -> Result<Self> {
        let mut volumes = Vec::new();
        for place in places {
            for file in 0..R::files(&store.places[place]).len() {
                let table = store.load::<R>(place, file)?;
                volumes.push(Volume { place, file, table, changed: false, fresh: Vec::new() });
            }
        }
        Ok(Self { volumes })
    }

    /// All records that make sense; of several with one ID, the first.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Arc<R>> {
        self.volumes.iter().flat_map(|volume| volume.table.records())
    }

    /// The records whose text holds a word, and some others: see [`Table::mentioning`].
    pub(crate) fn mentioning(&self, word: &str) -> impl Iterator<Item = &Arc<R>> {
        self.volumes.iter().flat_map(move |volume| volume.table.mentioning(word))
    }

    /// The record with an ID.
    pub(crate) fn by_id(&self, id: &str) -> Option<&Arc<R>> {
        self.volumes.iter().find_map(|volume| volume.table.by_id(id))
    }

    /// The record with a name.
    pub(crate) fn by_name(&self, name: &str) -> Option<&Arc<R>> {
        self.volumes.iter().find_map(|volume| volume.table.by_name(name))
    }

    /// The place that has the record with an ID.
    pub(crate) fn place_of(&self, id: &str) -> Option<usize> {
        let volume = self.volumes.iter().find(|volume| volume.table.by_id(id).is_some())?;
        Some(volume.place)
    }

    /// Adds a record to the stable file of a place, or replaces the one with its ID.
    pub(crate) fn put(&mut self, place: usize, record: R) {
        self.put_on(Shelf::Stable, place, record);
    }

    /// Adds a record to one of the files of a place, or replaces the one with its ID there.
    pub(crate) fn put_on(&mut self, shelf: Shelf, place: usize, record: R) {
        let file = shelf as usize;
        let mut volumes = self.volumes.iter_mut();
        let volume = volumes.find(|volume| volume.place == place && volume.file == file);
        let volume = volume.expect("a book holds places that are locked");
        volume.fresh.push(record.id().clone());
        volume.edit().put(record);
    }

    /// Changes the record with an ID where it is; says whether there is one.
    pub(crate) fn change(&mut self, id: &Id, change: impl FnOnce(&mut R)) -> bool {
        let found =
            self.volumes.iter_mut().find(|volume| volume.table.by_id(id.as_str()).is_some());
        found.is_some_and(|volume| {
            volume.fresh.push(id.clone());
            volume.edit().change(id, change)
        })
    }

    /// Takes the record with an ID away.
    pub(crate) fn remove(&mut self, id: &Id) -> Option<Arc<R>> {
        let found =
            self.volumes.iter_mut().find(|volume| volume.table.by_id(id.as_str()).is_some());
        found.and_then(|volume| volume.edit().remove(id))
    }

    /// Has the files written again that make no sense; says which.
    pub(crate) fn mend(&mut self, store: &Inner) -> Result<Vec<std::path::PathBuf>> {
        let mut damaged = Vec::new();
        for volume in &mut self.volumes {
            if let Some(path) = store.damaged::<R>(volume.place, volume.file)? {
                volume.edit();
                volume.fresh = volume.table.records().map(|record| record.id().clone()).collect();
                damaged.push(path);
            }
        }
        Ok(damaged)
    }

    /// Writes the files that are missed where there are none: to be called before anything comes to lie beside them, so
    /// that what somebody who dies leaves there is never taken for what they had.
    pub(crate) fn begin<'l>(
        &mut self,
        store: &Inner,
        lock: impl Fn(usize) -> &'l Lock,
    ) -> Result<()> {
        for volume in &mut self.volumes {
            if R::files(&store.places[volume.place])[volume.file].is_to_begin()? {
                volume.edit();
            }
        }
        self.save(store, lock)
    }

    /// Writes beside each file that was changed what is to replace it; `lock` says which lock a place is held by.
    pub(crate) fn write<'l>(
        &self,
        store: &Inner,
        lock: impl Fn(usize) -> &'l Lock,
    ) -> Result<Vec<Replacement>> {
        let changed = self.volumes.iter().filter(|volume| volume.changed);
        let written = changed.map(|volume| {
            lock(volume.place).write_token()?;
            let file = R::files(&store.places[volume.place])[volume.file];
            store.with_reserve(|| file.write(&volume.table))
        });
        written.collect()
    }

    /// Replaces each file that was changed with what [`write`](Self::write) wrote.
    pub(crate) fn put_written(&mut self, store: &Inner, written: Vec<Replacement>) -> Result<()> {
        let changed = self.volumes.iter_mut().filter(|volume| volume.changed);
        for (volume, replacement) in changed.zip(written) {
            let file = R::files(&store.places[volume.place])[volume.file];
            store.with_reserve(|| file.put(&replacement))?;
            file.remember(Arc::unwrap_or_clone(std::mem::take(&mut volume.table)))?;
            volume.saved(store)?;
        }
        Ok(())
    }

    /// Saves what was changed; `lock` says which lock a place is held by.
    pub(crate) fn save<'l>(
        &mut self,
        store: &Inner,
        lock: impl Fn(usize) -> &'l Lock,
    ) -> Result<()> {
        for volume in self.volumes.iter_mut().filter(|volume| volume.changed) {
            let place: &Place = &store.places[volume.place];
            let file = R::files(place)[volume.file];
            lock(volume.place).write_token()?;
            let table = Arc::unwrap_or_clone(std::mem::take(&mut volume.table));
            store.with_reserve(|| file.save(table.clone(), store.options.durability))?;
            volume.saved(store)?;
        }
        Ok(())
    }
}

impl<R: Kept> Volume<R> {
    /// Goes on from what was saved.
    fn saved(&mut self, store: &Inner) -> Result<()> {
        self.table = store.load::<R>(self.place, self.file)?;
        self.changed = false;
        let fresh = std::mem::take(&mut self.fresh);
        let fresh: BTreeSet<&Id> = fresh.iter().collect();
        let records = fresh.into_iter().filter_map(|id| self.table.by_id(id.as_str()));
        records.for_each(|record| R::keep_copy(&store.places[self.place], record));
        Ok(())
    }

    fn edit(&mut self) -> &mut Table<R> {
        self.changed = true;
        Arc::make_mut(&mut self.table)
    }
}
