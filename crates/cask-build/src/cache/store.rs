//! The files of the records.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind as IoKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::explain::Miss;
use super::record::{Record, seal, unseal};
use crate::key::{Key, KeyParts, key_of};
use crate::{Error, Result};

/// The longest record that is read, in bytes.
const MAX_RECORD_BYTES: u64 = 16 << 20;

/// The most records that one directory holds; the one that was used least lately goes. There are
/// 256 directories.
const MAX_IN_DIRECTORY: usize = 128;

/// How many steps at one place are remembered.
const MAX_AT_PLACE: usize = 8;

/// The results of earlier builds.
#[derive(Debug)]
pub struct Cache {
    directory: PathBuf,
    counter: AtomicU64,
}

/// What looking for a record gives.
#[derive(Debug)]
pub(crate) enum Found {
    Record(Box<Record>),
    Nothing,
    /// There is one, and it is damaged.
    Damaged,
}

impl Cache {
    /// Opens the records in a directory, which is made when something is written.
    pub fn new(state_directory: impl Into<PathBuf>) -> Self {
        Self { directory: state_directory.into(), counter: AtomicU64::new(0) }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn path(&self, kind: &str, key: &Key) -> PathBuf {
        self.directory.join(kind).join(&key.as_str()[..2]).join(key.as_str())
    }

    /// The record of a step, which counts as used now.
    pub(crate) fn find(&self, key: &Key) -> Found {
        let path = self.path("records", key);
        let bytes = match read(&path) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Found::Nothing,
            Err(_) => return Found::Damaged,
        };
        match Record::decode(&bytes).filter(|record| record.key == *key) {
            Some(record) => {
                touch(&path);
                Found::Record(Box::new(record))
            }
            None => Found::Damaged,
        }
    }

    /// Writes the record of a step, and where it is.
    pub(crate) fn put(&self, record: &Record) -> Result<()> {
        self.write("records", &record.key, &record.encode())?;
        for place in places(&record.text, &record.stage, record.number) {
            let mut keys = self.keys_at(&place);
            keys.retain(|key| *key != record.key);
            keys.insert(0, record.key.clone());
            keys.truncate(MAX_AT_PLACE);
            let text: Vec<&str> = keys.iter().map(Key::as_str).collect();
            self.write("places", &place, &seal(text.join("\n").as_bytes()))?;
        }
        Ok(())
    }

    /// The steps that were last at a place, the newest first.
    fn keys_at(&self, place: &Key) -> Vec<Key> {
        let Ok(Some(bytes)) = read(&self.path("places", place)) else { return Vec::new() };
        let Some(Ok(text)) = unseal(&bytes).map(std::str::from_utf8) else { return Vec::new() };
        text.lines().filter_map(Key::parse).take(MAX_AT_PLACE).collect()
    }

    /// Says how a step differs from those that were done before.
    pub(crate) fn explain(&self, parts: &KeyParts, text: &str, stage: &str, number: usize) -> Miss {
        let keys = places(text, stage, number).into_iter().flat_map(|place| self.keys_at(&place));
        let records =
            keys.filter_map(|key| Record::decode(&read(&self.path("records", &key)).ok()??));
        let candidates: Vec<Record> = records.collect();
        Miss::compared(parts, &candidates)
    }

    /// Writes a file whole, and renames it into its place.
    pub(super) fn write(&self, kind: &str, key: &Key, bytes: &[u8]) -> Result<()> {
        let path = self.path(kind, key);
        let directory = path.parent().unwrap_or(&self.directory);
        let temporary = self.directory.join("tmp");
        for directory in [directory, &temporary] {
            make_directory(directory)?;
        }
        make_room(directory);
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}-{}", std::process::id(), key);
        let scratch = temporary.join(name);
        let mut options = OpenOptions::new();
        let written = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&scratch)
            .and_then(|mut file| file.write_all(bytes))
            .and_then(|()| fs::rename(&scratch, &path));
        written.map_err(|error| {
            let _ = fs::remove_file(&scratch);
            Error::io(error, "cannot be written", &path)
        })
    }
}

/// The places that a step has: by its text, and by its number in its stage.
fn places(text: &str, stage: &str, number: usize) -> [Key; 2] {
    let word = text.split_whitespace().next().unwrap_or_default().to_uppercase();
    [key_of("text", &[text]), key_of("number", &[stage, &number.to_string(), &word])]
}

/// Reads a file of a limited length; `None` where there is none.
pub(super) fn read(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == IoKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(MAX_RECORD_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= MAX_RECORD_BYTES))
}

/// Notes that a record was used, as far as that goes: a store may be on a disk that is read-only.
fn touch(path: &Path) {
    if let Ok(file) = OpenOptions::new().append(true).open(path) {
        let _ = file.set_modified(SystemTime::now());
    }
}

pub(crate) fn make_directory(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| Error::io(error, "cannot be made", path))
}

/// Deletes what was used least lately where a directory is full.
fn make_room(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    if paths.len() < MAX_IN_DIRECTORY {
        return;
    }
    let used = |path: &PathBuf| fs::metadata(path).and_then(|found| found.modified()).ok();
    let mut by_use: Vec<_> = paths.into_iter().map(|path| (used(&path), path)).collect();
    by_use.sort();
    for (_, path) in by_use.iter().take(by_use.len() + 1 - MAX_IN_DIRECTORY) {
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: &str) -> Record {
        let mut parts = KeyParts::new("RUN");
        parts.add("command", value);
        let mut record = Record::new(&parts, None, None);
        record.text = "RUN x".to_owned();
        record.stage = "0".to_owned();
        record.number = 2;
        record
    }

    #[test]
    fn records_are_found_and_damage_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path());
        let one = record("1");
        assert!(matches!(cache.find(&one.key), Found::Nothing));
        cache.put(&one).unwrap();
        assert!(matches!(cache.find(&one.key), Found::Record(found) if found.parts == one.parts));
        let path = cache.path("records", &one.key);
        fs::write(&path, &one.encode()[..40]).unwrap();
        assert!(matches!(cache.find(&one.key), Found::Damaged));
        // A record under another's name is none.
        fs::write(&path, record("2").encode()).unwrap();
        assert!(matches!(cache.find(&one.key), Found::Damaged));
        assert_eq!(fs::read_dir(directory.path().join("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn the_last_steps_at_a_place_are_compared() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path());
        for number in 0..20 {
            cache.put(&record(&number.to_string())).unwrap();
        }
        let mut parts = KeyParts::new("RUN");
        parts.add("command", "new");
        let miss = cache.explain(&parts, "RUN x", "elsewhere", 7);
        assert_eq!(miss.to_string(), "command changed from 19 to new");
        let miss = cache.explain(&parts, "RUN other", "0", 2);
        assert_eq!(miss.to_string(), "command changed from 19 to new");
        let miss = cache.explain(&parts, "COPY x y", "0", 2);
        assert_eq!(miss.to_string(), "no earlier build has done this step");
    }

    #[test]
    fn records_are_bounded_and_what_was_used_stays() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path());
        let key = |number: usize| Key::parse(&format!("aa{number:062x}")).unwrap();
        let old = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1);
        for number in 0..MAX_IN_DIRECTORY {
            cache.write("records", &key(number), b"x").unwrap();
            let path = cache.path("records", &key(number));
            File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
        }
        touch(&cache.path("records", &key(0)));
        for number in 1000..1000 + MAX_IN_DIRECTORY / 2 {
            cache.write("records", &key(number), b"x").unwrap();
        }
        let count = fs::read_dir(directory.path().join("records/aa")).unwrap().count();
        assert_eq!(count, MAX_IN_DIRECTORY);
        assert!(cache.path("records", &key(0)).exists());
    }
}
