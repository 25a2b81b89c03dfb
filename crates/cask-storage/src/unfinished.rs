//! What was begun and is taken back should its maker die: containers and images.
//!
//! A container is a layer, directories and a record, and an image is layers, a directory and a
//! record: no single renaming makes them or takes them away. Before the first change a note says
//! what is under way; it goes behind the last one. Notes are made and forgotten while layers and
//! images are locked for writing, so whoever has those locks and finds one knows that its maker
//! is dead or failed. One rule serves those that were being made and those that were being
//! deleted: what is listed stays, and of what is not listed everything goes.

use std::fs;
use std::path::PathBuf;

use crate::delete::{AllHeld, Books, Trash, TrashOf, delete_layers, discard_layer, user_of_layer};
use crate::names::IMAGE_PLACE;
use crate::order::{Held, Writing};
use crate::place::Kind;
use crate::store::Inner;
use crate::temp::remove_tree;
use crate::{Durability, Error, Id, Result, Store, file, reserve, superseded};

/// What stands between kind and ID in the name of a note; no ID has it.
const SEPARATOR: char = '@';

/// The most bytes of a note that are read.
const MAX_BYTES: u64 = 1 << 20;

/// A container or an image that is being made or deleted.
#[derive(Debug)]
pub(crate) struct Unfinished {
    kind: Kind,
    id: Id,
    /// Its layers that go with it where nothing else needs them, each before its parent.
    layers: Vec<Id>,
}

impl Unfinished {
    /// One that is not noted, but known to be left.
    pub(crate) fn of(kind: Kind, id: Id, layers: Vec<Id>) -> Self {
        Self { kind, id, layers }
    }

    /// Notes what is about to begin.
    pub(crate) fn note<C>(
        store: &Inner,
        _held: &Held<'_, Writing, Writing, C>,
        kind: Kind,
        id: &Id,
        layers: Vec<Id>,
    ) -> Result<Self> {
        let this = Self { kind, id: id.clone(), layers };
        let path = this.path(store);
        let lines: Vec<&str> = this.layers.iter().map(Id::as_str).collect();
        let text = lines.join("\n");
        store.with_reserve(|| {
            file::make_directories(&directory(store), 0o700)?;
            // A death takes it to pieces as little as any other; a loss of power may empty it, and then
            // layers are left that whoever prunes finds.
            file::replace(&path, text.as_bytes(), 0o600, Durability::None)
        })?;
        Ok(this)
    }

    /// Forgets it: it is done. A note that stays does nothing to what is listed.
    pub(crate) fn forget(self, store: &Inner) {
        let _ = file::remove_if_there(&self.path(store));
    }

    /// Takes away all of it that there is, unless it is listed.
    pub(crate) fn take_back(
        &self,
        store: &Inner,
        held: &AllHeld<'_>,
        books: &mut Books,
        trash: &mut Trash,
    ) -> Result<()> {
        let (listed, place) = match self.kind {
            Kind::Container => {
                (books.containers.by_id(self.id.as_str()).is_some(), store.container_place())
            }
            _ => (books.images.by_id(self.id.as_str()).is_some(), IMAGE_PLACE),
        };
        if listed {
            return match (self.kind, books.images.by_id(self.id.as_str())) {
                (Kind::Image, Some(record)) => {
                    let directory = store.places[place].big_data_directory(self.kind, &self.id);
                    superseded::take_back(&directory, record)
                }
                _ => Ok(()),
            };
        }
        let mut doomed = Vec::new();
        for id in &self.layers {
            match books.layers.by_id(id.as_str()) {
                None => discard_layer(store, place, id, trash)?,
                Some(_) if user_of_layer(books, id, &doomed).is_none() => doomed.push(id.clone()),
                Some(_) => {}
            }
        }
        delete_layers(store, held, &mut books.layers, &doomed, trash)?;
        self.discard_directories(store, place, trash)
    }

    /// Moves its directories away, or deletes them.
    pub(crate) fn discard_directories(
        &self,
        store: &Inner,
        place: usize,
        trash: &mut Trash,
    ) -> Result<()> {
        let directory = store.places[place].big_data_directory(self.kind, &self.id);
        trash.take(store, place, TrashOf::Records, &directory)?;
        if self.kind != Kind::Container {
            return Ok(());
        }
        let directory = store.container_run_directory(&self.id);
        // The run root is mostly of another file system, to which nothing can be moved.
        let taken = trash.take(store, place, TrashOf::Records, &directory);
        taken.or_else(|_| remove_tree(&directory))
    }

    fn path(&self, store: &Inner) -> PathBuf {
        let name = format!("{}{SEPARATOR}{}", self.kind.plural(), self.id);
        directory(store).join(name)
    }
}

impl Store {
    /// Takes back what the dead, and those that failed, left half done.
    pub(crate) fn take_back_unfinished(&self) -> Result<()> {
        let inner = &self.inner;
        let entries = fs::read_dir(directory(inner)).into_iter().flatten();
        if entries.count() == 0 {
            return Ok(());
        }
        let held = inner.hold_all()?;
        let mut trash = Trash::default();
        let mut books = Books::load(&held)?;
        for unfinished in found(inner)? {
            // One that cannot be taken back now stays noted, and keeps no other.
            if unfinished.take_back(inner, &held, &mut books, &mut trash).is_ok() {
                unfinished.forget(inner);
            }
        }
        drop(held);
        trash.empty()
    }
}

fn directory(store: &Inner) -> PathBuf {
    reserve::own_directory(&store.options.graph_root).join("unfinished")
}

/// What is noted; to be called by who holds the locks. What is no note is deleted.
fn found(store: &Inner) -> Result<Vec<Unfinished>> {
    let directory = directory(store);
    let entries = fs::read_dir(&directory);
    let entries = entries.map_err(|error| Error::io(error, "listing", &directory))?;
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let note = entry.file_name().to_str().and_then(parse);
        match (note, file::read(&entry.path(), MAX_BYTES)) {
            (Some((kind, id)), Ok(Some((text, _)))) => {
                let text = String::from_utf8_lossy(&text);
                let layers = text.lines().filter_map(|line| Id::recorded(line).ok()).collect();
                found.push(Unfinished { kind, id, layers });
            }
            _ => file::remove_if_there(&entry.path())?,
        }
    }
    Ok(found)
}

/// What the name of a note says.
fn parse(name: &str) -> Option<(Kind, Id)> {
    let (kind, id) = name.split_once(SEPARATOR)?;
    let kinds = [Kind::Image, Kind::Container];
    let kind = kinds.into_iter().find(|known| known.plural() == kind)?;
    Some((kind, Id::recorded(id).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_notes_say_what_they_are_about() {
        let check = |name: &str, expected: Option<(Kind, &str)>| {
            let found = parse(name);
            let found = found.as_ref().map(|(kind, id)| (*kind, id.as_str()));
            assert_eq!(found, expected, "{name}");
        };
        check("images@abc", Some((Kind::Image, "abc")));
        check("containers@a-b_c.d", Some((Kind::Container, "a-b_c.d")));
        check("layers@abc", None);
        check("images@", None);
        check("images@../x", None);
        check(".tmp-images@abc", None);
    }
}
