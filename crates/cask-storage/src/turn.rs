//! Taking turns: of several processes that want the same blob, one reads it, and the others wait for
//! what it keeps.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use cask_image::Digest;

use crate::lock::{Lock, Mode};
use crate::{Result, Store, file};

/// How long to sleep between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Who has made no progress for so long is waited for no longer: it may have been stopped.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// The right to be the one that reads a blob; it ends when this is dropped, or with the process.
///
/// It is a courtesy: whoever goes on without it does the same work once more.
#[derive(Debug)]
pub struct BlobTurn {
    lock: Option<(Lock, PathBuf)>,
    told: Mutex<Instant>,
}

impl Store {
    /// Waits until nobody else reads a blob, or until who does has made no progress for half a minute,
    /// however long this one has waited, or until `is_wanted` says no. Whoever dies makes no one wait.
    ///
    /// Afterwards the blob may be kept ([`open_kept_blob`](Self::open_kept_blob)) or its layer be
    /// there.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`](crate::ErrorKind::Denied) and [`ErrorKind::Io`](crate::ErrorKind::Io) for
    /// the directory of locks in the run root.
    pub fn wait_for_turn(&self, blob: &Digest, is_wanted: impl Fn() -> bool) -> Result<BlobTurn> {
        let directory = self.run_root().join(format!("{}-locks", self.driver()));
        file::make_directories(&directory, 0o700)?;
        let path = directory.join(blob.to_string());
        let begun = Instant::now();
        let mut looks_still = false;
        loop {
            if let Some(lock) = Lock::try_acquire(&path)? {
                // Who had it before has deleted its file.
                if !lock.is_current() {
                    continue;
                }
                let turn = BlobTurn { lock: Some((lock, path)), told: Mutex::new(begun) };
                turn.touch();
                return Ok(turn);
            }
            // Who has just locked what a dead one left has not told yet.
            let looked_still = std::mem::replace(&mut looks_still, is_still(&path));
            if !is_wanted() || (looked_still && looks_still) {
                return Ok(BlobTurn { lock: None, told: Mutex::new(begun) });
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// The right to change what a digest stands for; it ends when this is dropped, or with the process.
#[derive(Debug)]
pub struct DigestLock {
    _lock: Lock,
}

impl Store {
    /// Waits until nobody else has the lock of a digest, as long as for every lock, and takes it. The peers have the same lock:
    /// with it they change lists of images, by the ID of the list.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`](crate::ErrorKind::Locked); as [`wait_for_turn`](Self::wait_for_turn).
    ///
    /// Source: containers/storage, `store.go`, `GetDigestLock`.
    pub fn lock_digest(&self, digest: &Digest) -> Result<DigestLock> {
        let directory = self.run_root().join(format!("{}-locks", self.driver()));
        file::make_directories(&directory, 0o700)?;
        let path = directory.join(digest.to_string());
        loop {
            let lock = Lock::acquire(&path, Mode::Write, self.options().lock_timeout)?;
            // A blob of the same digest may have been read, and its file deleted.
            if lock.is_current() {
                return Ok(DigestLock { _lock: lock });
            }
        }
    }
}

/// A lock of what the peers keep beside images and containers; it ends when this is dropped, or with the process.
#[derive(Debug)]
pub struct FileLock {
    _lock: Lock,
}

impl Store {
    /// Locks a file that the peers lock, too, and that is made where there is none: alone for `writes`, else together with
    /// others who read. Waits as long as for every lock.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`](crate::ErrorKind::Locked); [`ErrorKind::Denied`](crate::ErrorKind::Denied) and
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where it cannot be opened.
    pub fn lock_file(&self, path: &Path, writes: bool) -> Result<FileLock> {
        let mode = if writes { Mode::Write } else { Mode::Read };
        Ok(FileLock { _lock: Lock::acquire(path, mode, self.options().lock_timeout)? })
    }
}

/// Whether nobody has told of progress for long.
fn is_still(path: &Path) -> bool {
    let Ok(found) = std::fs::metadata(path) else { return false };
    let told = SystemTime::UNIX_EPOCH + Duration::new(u64::try_from(found.mtime()).unwrap_or(0), 0);
    told.elapsed().is_ok_and(|age| age > PATIENCE)
}

impl BlobTurn {
    /// Tells those who wait that it goes on; to be called for every part of the blob.
    pub fn progress(&self) {
        let Ok(mut told) = self.told.try_lock() else { return };
        if told.elapsed() >= TELL_EVERY {
            *told = Instant::now();
            self.touch();
        }
    }

    fn touch(&self) {
        if let Some((lock, _)) = &self.lock {
            // Who waits goes on without, at worst.
            let _ = lock.touch();
        }
    }
}

impl Drop for BlobTurn {
    fn drop(&mut self) {
        if let Some((lock, path)) = &self.lock
            && lock.is_current()
        {
            // While it is locked: whoever opened it before sees that it is not current.
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreOptions;

    fn digest() -> Digest {
        "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae".parse().unwrap()
    }

    #[test]
    fn turns_are_taken_one_after_the_other() {
        let temp = tempfile::tempdir().unwrap();
        let options = StoreOptions::new(temp.path().join("root"), temp.path().join("run"));
        let store = Store::open(options).unwrap();
        let busy = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let turn = store.wait_for_turn(&digest(), || true).unwrap();
                    let others = busy.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    assert_eq!(others, 0);
                    turn.progress();
                    std::thread::sleep(Duration::from_millis(20));
                    busy.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                });
            }
        });
        let left = std::fs::read_dir(temp.path().join("run/overlay-locks")).unwrap().count();
        assert_eq!(left, 0);
    }

    #[test]
    fn who_gives_up_waits_no_longer() {
        let temp = tempfile::tempdir().unwrap();
        let options = StoreOptions::new(temp.path().join("root"), temp.path().join("run"));
        let store = Store::open(options).unwrap();
        let first = store.wait_for_turn(&digest(), || true).unwrap();
        let second = store.wait_for_turn(&digest(), || false).unwrap();
        assert!(first.lock.is_some() && second.lock.is_none());
        drop(second);
        assert!(temp.path().join("run/overlay-locks").join(digest().to_string()).exists());
    }

    #[test]
    fn whoever_has_stopped_is_not_waited_for() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("lock");
        let lock = Lock::try_acquire(&path).unwrap().unwrap();
        assert!(!is_still(&path));
        lock.set_modified(SystemTime::now() - PATIENCE - Duration::from_secs(2)).unwrap();
        assert!(is_still(&path));
        lock.touch().unwrap();
        assert!(!is_still(&path));
    }
}
