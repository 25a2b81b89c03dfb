//! Listing and deleting what is kept.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cask_storage::Id;
use rustix::fs::{FlockOperation, flock};

use super::record::Record;
use super::store::{Cache, read};
use crate::{Error, Result};

/// What a [`CacheEntry`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CacheEntryKind {
    /// The result of a step.
    Step,
    /// A cache mount.
    Mount,
}

/// Something that is kept for later builds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheEntry {
    /// What it is.
    pub kind: CacheEntryKind,
    /// Its name in the directory: 64 hexadecimal digits.
    pub id: String,
    /// The instruction, or the name of the cache mount.
    pub description: String,
    /// The layer that a step made. Records hold no files: the layer is a part of an image of the
    /// store, named or not, and goes with it.
    pub layer: Option<Id>,
    /// The size of the layer's tar stream, or of the files in the mount, in bytes.
    pub size_bytes: u64,
    /// When it was made or used last.
    pub last_used: SystemTime,
    /// How long the step took.
    pub duration: Duration,
    /// Whether a build uses it at the moment. Steps are never in use.
    pub in_use: bool,
}

/// What is to be deleted.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CachePrune {
    /// Only what was used before this time.
    pub not_used_since: Option<SystemTime>,
    /// Only one kind.
    pub kind: Option<CacheEntryKind>,
    /// Only these, by the beginning of their IDs.
    pub ids: Vec<String>,
    /// Keeps as much as this of what was used last, in bytes.
    pub keep_bytes: Option<u64>,
}

/// What was deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CachePruned {
    /// The entries.
    pub entries: Vec<CacheEntry>,
    /// The bytes of cache mounts among them: layers stay until their images go.
    pub freed_bytes: u64,
}

impl Cache {
    /// What is kept, what was used last first.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io).
    pub fn entries(&self) -> Result<Vec<CacheEntry>> {
        let mut entries = Vec::new();
        for shard in list(&self.directory().join("records"))? {
            for path in list(&shard)? {
                entries.extend(step(&path));
            }
        }
        for path in list(&self.directory().join("mounts"))? {
            entries.extend(mount(&path));
        }
        entries.sort_by(|a, b| b.last_used.cmp(&a.last_used).then_with(|| a.id.cmp(&b.id)));
        Ok(entries)
    }

    /// Deletes what is kept, but for cache mounts that are in use.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where something cannot be deleted.
    pub fn prune(&self, options: &CachePrune) -> Result<CachePruned> {
        let mut pruned = CachePruned::default();
        let mut kept = 0_u64;
        for entry in self.entries()? {
            let wanted = options.kind.is_none_or(|kind| kind == entry.kind)
                && options.not_used_since.is_none_or(|time| entry.last_used < time)
                && (options.ids.is_empty()
                    || options.ids.iter().any(|id| !id.is_empty() && entry.id.starts_with(id)));
            if !wanted || entry.in_use {
                continue;
            }
            if let Some(keep) = options.keep_bytes
                && kept.saturating_add(entry.size_bytes) <= keep
            {
                kept += entry.size_bytes;
                continue;
            }
            if self.delete(&entry)? {
                if entry.kind == CacheEntryKind::Mount {
                    pruned.freed_bytes += entry.size_bytes;
                }
                pruned.entries.push(entry);
            }
        }
        Ok(pruned)
    }

    fn delete(&self, entry: &CacheEntry) -> Result<bool> {
        match entry.kind {
            CacheEntryKind::Step => {
                let path = self.directory().join("records").join(&entry.id[..2]).join(&entry.id);
                fs::remove_file(&path)
                    .map_err(|error| Error::io(error, "cannot be deleted", &path))?;
            }
            CacheEntryKind::Mount => {
                let path = self.directory().join("mounts").join(&entry.id);
                let Some(_lock) = lock_exclusively(&path) else { return Ok(false) };
                let away = self.directory().join("mounts").join(format!(".{}", entry.id));
                let gone = fs::rename(&path, &away).and_then(|()| fs::remove_dir_all(&away));
                gone.map_err(|error| Error::io(error, "cannot be deleted", &path))?;
            }
        }
        Ok(true)
    }
}

/// The entries of a directory that may not be there; hidden ones are not listed.
fn list(path: &Path) -> Result<Vec<PathBuf>> {
    match fs::read_dir(path) {
        Ok(entries) => {
            let paths = entries.flatten().map(|entry| entry.path());
            let is_hidden = |path: &PathBuf| {
                path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
            };
            Ok(paths.filter(|path| !is_hidden(path)).collect())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::io(error, "cannot be listed", path)),
    }
}

fn step(path: &Path) -> Option<CacheEntry> {
    let record = Record::decode(&read(path).ok()??)?;
    Some(CacheEntry {
        kind: CacheEntryKind::Step,
        id: record.key.to_string(),
        description: record.text.clone(),
        layer: record.layer_id(),
        size_bytes: record.layer().map_or(0, |layer| layer.size_bytes),
        last_used: fs::metadata(path).ok()?.modified().ok()?,
        duration: Duration::from_millis(record.wall_milliseconds),
        in_use: false,
    })
}

fn mount(path: &Path) -> Option<CacheEntry> {
    let id = path.file_name()?.to_str()?.to_owned();
    crate::key::Key::parse(&id)?;
    let info = path.join("info");
    let description =
        String::from_utf8_lossy(&read(&info).ok().flatten().unwrap_or_default()).into_owned();
    Some(CacheEntry {
        kind: CacheEntryKind::Mount,
        id,
        description,
        layer: None,
        size_bytes: size_of(&path.join("data")),
        last_used: fs::metadata(&info).ok()?.modified().ok()?,
        duration: Duration::ZERO,
        in_use: lock_exclusively(path).is_none(),
    })
}

/// The lock of a cache mount that nobody uses; it ends when this is dropped.
fn lock_exclusively(path: &Path) -> Option<File> {
    let file = File::open(path.join("lock")).ok()?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(file)
}

/// How much the files below a directory take up, in bytes. Files with several names count once.
fn size_of(directory: &Path) -> u64 {
    let mut seen = std::collections::HashSet::new();
    let mut waiting = vec![directory.to_owned()];
    let mut sum = 0;
    while let Some(directory) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let Ok(found) = entry.metadata() else { continue };
            if found.is_dir() {
                waiting.push(entry.path());
            } else if found.nlink() < 2 || seen.insert((found.dev(), found.ino())) {
                sum += found.blocks() * 512;
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{KeyParts, key_of};

    #[test]
    fn steps_and_mounts_are_listed_and_deleted_unless_they_are_in_use() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path());
        assert_eq!(cache.entries().unwrap(), []);
        let mut record = Record::new(&KeyParts::new("RUN"), None, None);
        record.text = "RUN true".to_owned();
        cache.put(&record).unwrap();
        let id = key_of("cache", &["go"]);
        let mount = directory.path().join("mounts").join(id.as_str());
        fs::create_dir_all(mount.join("data")).unwrap();
        fs::write(mount.join("data/x"), vec![1; 10_000]).unwrap();
        fs::write(mount.join("info"), "go").unwrap();
        fs::write(mount.join("lock"), "").unwrap();
        let names = |cache: &Cache| -> Vec<String> {
            let mut names: Vec<_> =
                cache.entries().unwrap().into_iter().map(|entry| entry.description).collect();
            names.sort();
            names
        };
        assert_eq!(names(&cache), ["RUN true", "go"]);
        let lock = File::open(mount.join("lock")).unwrap();
        flock(&lock, FlockOperation::LockShared).unwrap();
        let pruned = cache.prune(&CachePrune::default()).unwrap();
        assert_eq!((pruned.entries.len(), pruned.freed_bytes), (1, 0));
        assert_eq!(names(&cache), ["go"]);
        drop(lock);
        let keep = CachePrune { keep_bytes: Some(1 << 20), ..CachePrune::default() };
        assert_eq!(cache.prune(&keep).unwrap().entries, []);
        assert!(cache.prune(&CachePrune::default()).unwrap().freed_bytes >= 10_000);
        assert_eq!(names(&cache), [""; 0]);
    }
}
