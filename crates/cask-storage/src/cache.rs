//! One JSON file of records, remembered as long as it does not change.
//!
//! Peers replace these files by renaming, so one that is opened is whole and never changes: it is
//! read without a lock. A file that makes no sense is answered from its last good generation and
//! from what lies on the disk, so that one bad file never takes the store down.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::file::{self, MAX_JSON_BYTES, Replacement, Stamp};
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
    /// Whether it is put together again where it is missing, too.
    is_missed: bool,
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
    /// Whether somebody looked whether it makes sense.
    checked: bool,
}

impl<R: Record> Cache<R> {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, is_missed: false, last: Mutex::new(None) }
    }

    /// A file of which other traces tell that it was there.
    pub(crate) fn missed(path: PathBuf) -> Self {
        Self { is_missed: true, ..Self::new(path) }
    }

    /// Whether the file would be put together again though it never was there: by what is about to come beside it.
    pub(crate) fn is_to_begin(&self) -> Result<bool> {
        Ok(self.is_missed && self.stamp()?.is_none())
    }

    /// The file's state now.
    pub(crate) fn stamp(&self) -> Result<Option<Stamp>> {
        Stamp::at(&self.path)
    }

    /// The file's text, not looked at: whoever reads all of it finds out whether it makes sense.
    pub(crate) fn peek(&self) -> Result<Arc<Table<R>>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh(&mut last).map(|loaded| Arc::clone(&loaded.table))
    }

    /// The file's records. Where it makes no sense, `rebuild` gets the last good generation, if
    /// there is one, and says what the records must have been.
    pub(crate) fn load(
        &self,
        rebuild: impl FnOnce(Option<Table<R>>) -> Table<R>,
    ) -> Result<Loaded<R>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = self.refresh(&mut last)?;
        if !loaded.checked
            && let Err(why) = loaded.table.check()
        {
            self.rebuild(loaded, why, rebuild);
        }
        loaded.checked = true;
        Ok(loaded.clone())
    }

    /// Reads the file if it changed.
    fn refresh<'l>(&self, last: &'l mut Option<Loaded<R>>) -> Result<&'l mut Loaded<R>> {
        let stamp = self.stamp()?;
        if last.as_ref().is_none_or(|last| last.stamp != stamp) {
            *last = Some(self.read()?);
        }
        Ok(last.as_mut().expect("it was just read"))
    }

    fn read(&self) -> Result<Loaded<R>> {
        let Some((bytes, stamp)) = file::read(&self.path, MAX_JSON_BYTES)? else {
            let (table, checked) = (Arc::default(), !self.is_missed);
            return Ok(Loaded { stamp: None, table, damage: None, checked });
        };
        // A text that is none fails to be read as records.
        let text = String::from_utf8(bytes).unwrap_or_else(|_| "not UTF-8".to_owned());
        let table = Arc::new(Table::new(text));
        Ok(Loaded { stamp: Some(stamp), table, damage: None, checked: false })
    }

    fn rebuild(
        &self,
        loaded: &mut Loaded<R>,
        why: String,
        rebuild: impl FnOnce(Option<Table<R>>) -> Table<R>,
    ) {
        let table = rebuild(self.last_good());
        // Peers take an empty file for an empty list, and so it is if nothing is there.
        if !loaded.table.is_of_no_text() || table.len() > 0 {
            let why = if loaded.stamp.is_none() { "the file is missing" } else { &*why };
            let message = format!(
                "{why}; {} records were put together from its last good generation and from what \
                 is on the disk",
                table.len()
            );
            loaded.damage = Some(Warning::new(&self.path, message));
        }
        loaded.table = Arc::new(table);
    }

    /// What the file says now, nothing where there is none; `None` where it makes no sense.
    pub(crate) fn on_disk(&self) -> Option<Table<R>> {
        let Some((bytes, _)) = file::read(&self.path, MAX_JSON_BYTES).ok()? else {
            return Some(Table::default());
        };
        let table = Table::new(String::from_utf8(bytes).ok()?);
        table.check().is_ok().then_some(table)
    }

    /// The last good generation of the file, if there is one.
    pub(crate) fn last_good(&self) -> Option<Table<R>> {
        let (bytes, _) = file::read(&self.backup_path(), MAX_JSON_BYTES).ok()??;
        let table = Table::new(String::from_utf8(bytes).ok()?);
        table.check().is_ok().then_some(table)
    }

    /// When that was written.
    pub(crate) fn last_good_time(&self) -> Option<SystemTime> {
        std::fs::metadata(self.backup_path()).and_then(|found| found.modified()).ok()
    }

    /// Replaces the file; the old one is kept as its last good generation.
    pub(crate) fn save(&self, table: Table<R>, durability: Durability) -> Result<()> {
        self.keep_backup();
        file::replace(&self.path, table.print().as_bytes(), 0o600, durability)?;
        self.remember(table)
    }

    /// Writes beside the file what is to replace it.
    pub(crate) fn write(&self, table: &Table<R>) -> Result<Replacement> {
        Replacement::write(&self.path, table.print().as_bytes(), 0o600)
    }

    /// Replaces the file with what was written; the old one is kept as its last good generation.
    pub(crate) fn put(&self, replacement: &Replacement) -> Result<()> {
        self.keep_backup();
        replacement.put()
    }

    /// Remembers what the file says now.
    pub(crate) fn remember(&self, table: Table<R>) -> Result<()> {
        let loaded =
            Loaded { stamp: self.stamp()?, table: Arc::new(table), damage: None, checked: true };
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
            let old = std::fs::File::open(&kept);
            let _ = std::fs::rename(&temporary, &kept);
            let _ = old.map(cask_files::let_go);
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

/// The error for something that is not in the store.
pub(crate) fn not_found(operation: &'static str, what: impl std::fmt::Display) -> Error {
    Error::new(crate::ErrorKind::NotFound, operation, what)
        .with_detail("there is none in the store")
}
