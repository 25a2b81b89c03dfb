//! Which content a file has that has not been touched since it was read.

mod file;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cask_rootfs::Timestamp;

use crate::Result;
use crate::view::Status;
use file::{Generation, Record};

/// How much older than the reading of its content a file must be, so that a change after the reading
/// would have given it another time: the kernel's clock for files goes in steps of up to 10 ms.
const STEP: Duration = Duration::from_millis(100);

/// The same for file systems that keep whole seconds, or two of them.
const COARSE_STEP: Duration = Duration::from_secs(3);

/// The digests of files by what the file system says of them, kept in a file of the user's.
///
/// A file whose device, number, length, time of modification and time of change are the same has the
/// same content; whoever changes it changes the last of these, and cannot set it. The exception is a
/// change within the same step of the clock as the reading. So an entry whose times are not older than
/// its reading, by a margin, is not kept (git's rule for "racily clean" entries), and one whose times
/// are not older than the cache's own file is not trusted.
///
/// Several processes may use one file. It is never changed but replaced, under a lock, by the union of
/// what is in it and what was learned. A file that is damaged, or of another version, is an empty
/// cache: see [`warning`](Self::warning).
///
/// Limits: 500,000 entries of 88 bytes; beyond, those that were not used for longest go.
///
/// ```
/// use cask_build::StatCache;
///
/// let directory = tempfile::tempdir()?;
/// let cache = StatCache::open(directory.path().join("stat-cache"));
/// assert!(cache.is_empty() && cache.warning().is_none());
/// cache.save()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct StatCache {
    path: Option<PathBuf>,
    loaded: Generation,
    /// Which of the loaded were of use.
    used: Vec<AtomicBool>,
    learned: Mutex<HashMap<(u64, u64), Record>>,
    warning: Option<String>,
}

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// The digest of its content.
    pub(crate) sha256: [u8; 32],
    /// Whether it has extended attributes of its own.
    pub(crate) has_xattrs: bool,
}

impl StatCache {
    /// Opens a cache. A file that does not exist is an empty one, which [`save`](Self::save) creates
    /// with its directory.
    pub fn open(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let (loaded, warning) = match Generation::read(&path) {
            Ok(loaded) => (loaded, None),
            Err(reason) => {
                let warning = format!("{}: {reason}; it is begun anew", path.display());
                (Generation::default(), Some(warning))
            }
        };
        let used = (0..loaded.len()).map(|_| AtomicBool::new(false)).collect();
        Self { path: Some(path), loaded, used, learned: Mutex::default(), warning }
    }

    /// A cache that is forgotten with the value.
    pub fn in_memory() -> Self {
        Self {
            path: None,
            loaded: Generation::default(),
            used: Vec::new(),
            learned: Mutex::default(),
            warning: None,
        }
    }

    /// Why the file was not used.
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// Where it is kept.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        let new = learned.keys().filter(|key| self.loaded.find(**key).is_none());
        self.loaded.len() + new.count()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is known of a file that is now as described.
    pub(crate) fn lookup(&self, status: &Status) -> Option<Known> {
        let wanted = Record::of(status);
        if let Some(index) = self.loaded.find(wanted.key()) {
            let found = self.loaded.record(index);
            if found.is_of_same_state(&wanted) && found.is_older_than(self.loaded.written()) {
                self.used[index].store(true, Ordering::Relaxed);
                return Some(found.known());
            }
        }
        let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        let found = learned.get(&wanted.key())?;
        found.is_of_same_state(&wanted).then(|| found.known())
    }

    /// Learns what a file has that was as described before and after it was read. `began` is when
    /// reading began.
    pub(crate) fn learn(&self, status: &Status, known: Known, began: SystemTime) {
        if is_racy(status, began) {
            return;
        }
        let record = Record::of(status).with(known);
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        learned.insert(record.key(), record);
    }

    /// Keeps what was learned. Nothing is written where that is nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the file cannot be written. What was there is
    /// still there then.
    pub fn save(&self) -> Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        if learned.is_empty() {
            return Ok(());
        }
        let used = self.used.iter().enumerate().filter(|(_, used)| used.load(Ordering::Relaxed));
        let used: Vec<_> = used.map(|(index, _)| self.loaded.record(index).key()).collect();
        file::replace(path, &learned, &used)
    }
}

/// Whether a change right after the reading might have left the times as they are.
pub(crate) fn is_racy(status: &Status, began: SystemTime) -> bool {
    let is_coarse = status.modified.nanoseconds == 0 && status.changed.nanoseconds == 0;
    let step = if is_coarse { COARSE_STEP } else { STEP };
    let Some(limit) = began.checked_sub(step) else { return true };
    let latest = status.modified.max(status.changed);
    latest >= timestamp(limit)
}

fn timestamp(time: SystemTime) -> Timestamp {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => Timestamp {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: since.subsec_nanos(),
        },
        Err(_) => Timestamp { seconds: i64::MIN, nanoseconds: 0 },
    }
}

impl std::fmt::Debug for StatCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatCache")
            .field("path", &self.path)
            .field("loaded", &self.loaded.len())
            .finish_non_exhaustive()
    }
}
