//! One JSON file of records, remembered as long as it does not change.
//!
//! Peers replace these files by renaming, so one that is opened is whole and never changes: it is
//! read without a lock. A file that makes no sense is answered from its last good generation and
//! from what lies on the disk, so that one bad file never takes the store down.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::file::{self, MAX_JSON_BYTES, Stamp};
use crate::record::Record;
use crate::table::Table;
use crate::warning::Warning;
use crate::{Durability, Error, Result};

/// What the last good generation of a file is called, behind the file's own name.
const BACKUP_SUFFIX: &str = ".bak";

/// A JSON file, and what it said when it was last read.
#[derive(Debug)]
pub(crate) struct Cache<R> {
    path: PathBuf,
    last: Mutex<Option<Loaded<R>>>,
}

/// What a file said.
#[derive(Clone, Debug)]
pub(crate) struct Loaded<R> {
    /// The file's state; `None` where there is none.
    pub(crate) stamp: Option<Stamp>,
    /// Its records.
    pub(crate) table: Arc<Table<R>>,
    /// What was wrong with the file, if something was.
    pub(crate) damage: Option<Warning>,
}

impl<R: Record> Cache<R> {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, last: Mutex::new(None) }
    }

    /// The file's state now.
    pub(crate) fn stamp(&self) -> Result<Option<Stamp>> {
        Stamp::at(&self.path)
    }

    /// The file's records. Where it makes no sense, `rebuild` gets the last good generation, if
    /// there is one, and says what the records must have been.
    pub(crate) fn load(
        &self,
        rebuild: impl FnOnce(Option<Table<R>>) -> Table<R>,
    ) -> Result<Loaded<R>> {
        let stamp = self.stamp()?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = last.as_ref().filter(|last| last.stamp == stamp) {
            return Ok(last.clone());
        }
        let loaded = self.read(rebuild)?;
        *last = Some(loaded.clone());
        Ok(loaded)
    }

    fn read(&self, rebuild: impl FnOnce(Option<Table<R>>) -> Table<R>) -> Result<Loaded<R>> {
        let Some((bytes, stamp)) = file::read(&self.path, MAX_JSON_BYTES)? else {
            return Ok(Loaded { stamp: None, table: Arc::default(), damage: None });
        };
        let stamp = Some(stamp);
        match parse(bytes) {
            Ok(table) => Ok(Loaded { stamp, table: Arc::new(table), damage: None }),
            Err(why) => {
                let backup = file::read(&self.backup_path(), MAX_JSON_BYTES).ok().flatten();
                let backup = backup.and_then(|(bytes, _)| parse(bytes).ok());
                let table = rebuild(backup);
                // Peers take an empty file for an empty list, and so it is if nothing is there.
                let damaged = why != EMPTY || table.len() > 0;
                let message = format!(
                    "{why}; {} records were put together from its last good generation and from \
                     what is on the disk",
                    table.len()
                );
                let damage = damaged.then(|| Warning::new(&self.path, message));
                Ok(Loaded { stamp, table: Arc::new(table), damage })
            }
        }
    }

    /// Replaces the file; the old one is kept as its last good generation.
    pub(crate) fn save(&self, table: Table<R>, durability: Durability) -> Result<()> {
        self.keep_backup();
        file::replace(&self.path, table.print().as_bytes(), 0o600, durability)?;
        let loaded = Loaded { stamp: self.stamp()?, table: Arc::new(table), damage: None };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(loaded);
        Ok(())
    }

    /// Gives the file that is about to be replaced a second name: one that makes no sense another
    /// than the last good one. A disk that is full, or a file system without links, must not keep
    /// anybody from writing.
    fn keep_backup(&self) {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = last.as_ref() else { return };
        let kept = match last.damage {
            None => self.backup_path(),
            Some(_) => self.sibling(".damaged"),
        };
        let temporary = self.sibling(".bak.new");
        let _ = std::fs::remove_file(&temporary);
        if std::fs::hard_link(&self.path, &temporary).is_ok() {
            let _ = std::fs::rename(&temporary, &kept);
        }
    }

    fn backup_path(&self) -> PathBuf {
        self.sibling(BACKUP_SUFFIX)
    }

    fn sibling(&self, suffix: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(suffix);
        path.into()
    }
}

/// What is wrong with a file of no bytes.
const EMPTY: &str = "the file is empty";

fn parse<R: Record>(bytes: Vec<u8>) -> Result<Table<R>, String> {
    if bytes.is_empty() {
        return Err(EMPTY.to_owned());
    }
    let text = String::from_utf8(bytes).map_err(|error| error.utf8_error().to_string())?;
    let table = Table::new(text);
    table.check()?;
    Ok(table)
}

/// The error for something that is not in the store.
pub(crate) fn not_found(operation: &'static str, what: impl std::fmt::Display) -> Error {
    Error::new(crate::ErrorKind::NotFound, operation, what)
        .with_detail("there is none in the store")
}
