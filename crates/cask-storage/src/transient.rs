//! Containers of transient stores: their records are in the run root and gone with it, and their files are not.
//!
//! ```text
//! GRAPH ROOT/cask/transient/<id>   in which start of the machine a container was made, by which run root, and its layer
//! ```
//!
//! A record that is gone with a restart leaves a layer and directories behind, which nothing names. These notes do:
//! what the own run root does not list goes; and, of other run roots, what was noted in an earlier start of the machine
//! if they list nothing any more. What they list otherwise cannot be known here, and stays.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use crate::delete::{Books, Trash};
use crate::place::Kind;
use crate::store::Inner;
use crate::unfinished::Unfinished;
use crate::{Durability, Error, Id, Result, Store, file, reserve};

/// The most bytes of a note that are read.
const MAX_BYTES: u64 = 1 << 16;

/// A container that was made.
#[derive(Debug)]
struct Note {
    id: Id,
    boot: String,
    run_root: PathBuf,
    layer: Id,
}

impl Note {
    fn parse(id: Id, text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (boot, layer, run_root) = (lines.next()?, lines.next()?, lines.next()?);
        let layer = Id::recorded(layer).ok()?;
        Some(Self { id, boot: boot.to_owned(), run_root: run_root.into(), layer })
    }
}

/// Notes a container that is about to be made.
pub(crate) fn note(store: &Inner, id: &Id, layer: &Id) -> Result<()> {
    let run_root = store.options.run_root.display();
    let text = format!("{}\n{layer}\n{run_root}\n", boot());
    store.with_reserve(|| {
        file::make_directories(&directory(store), 0o700)?;
        file::replace(&directory(store).join(id.as_str()), text.as_bytes(), 0o600, Durability::None)
    })
}

/// Forgets one that is no more.
pub(crate) fn forget(store: &Inner, id: &Id) {
    let _ = file::remove_if_there(&directory(store).join(id.as_str()));
}

/// The containers that were noted, and their layers.
pub(crate) fn noted(store: &Inner) -> HashSet<String> {
    let ids = |note: Note| [note.id.to_string(), note.layer.to_string()];
    notes(store).into_iter().flat_map(ids).collect()
}

fn directory(store: &Inner) -> PathBuf {
    reserve::own_directory(&store.options.graph_root).join("transient")
}

fn notes(store: &Inner) -> Vec<Note> {
    let entries = fs::read_dir(directory(store)).into_iter().flatten().flatten();
    let read = |entry: fs::DirEntry| {
        let id = Id::recorded(entry.file_name().to_str()?).ok()?;
        let (text, _) = file::read(&entry.path(), MAX_BYTES).ok()??;
        Note::parse(id, &String::from_utf8_lossy(&text))
    };
    entries.filter_map(read).collect()
}

/// Which start of the machine this is.
fn boot() -> String {
    let read = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    read.trim().to_owned()
}

impl Store {
    /// Deletes what is left of containers whose records are gone with a run root.
    pub(crate) fn sweep_transient(&self) -> Result<()> {
        let inner = &self.inner;
        let (boot, options) = (boot(), self.options());
        let records = format!("{}-containers/volatile-containers.json", self.driver());
        let mut gone = notes(inner);
        gone.retain(|note| match options.transient && note.run_root == options.run_root {
            true => !self.lists(&note.id),
            false => note.boot != boot && !note.run_root.join(&records).exists(),
        });
        if gone.is_empty() {
            return Ok(());
        }
        let held = inner.hold_all()?;
        let mut trash = Trash::default();
        let mut books = Books::load(&held)?;
        for note in gone {
            // Perhaps it was just being made.
            let is_listed = books.containers.by_id(note.id.as_str()).is_some();
            let left = Unfinished::of(Kind::Container, note.id.clone(), vec![note.layer]);
            if !is_listed && left.take_back(inner, &held, &mut books, &mut trash).is_ok() {
                forget(inner, &note.id);
            }
        }
        drop(held);
        trash.empty()
    }

    fn lists(&self, id: &Id) -> bool {
        let found: Result<_, Error> = self.container_named(id.as_str());
        !found.is_err_and(|error| error.kind() == crate::ErrorKind::NotFound)
    }
}
