//! Directories for what comes and goes: layers that are being written or deleted.
//!
//! Each has a lock file beside it, which is locked as long as somebody works with it; whoever can
//! lock it may delete both. The layout is that of the peers, so they sweep what we leave when we
//! are killed, and the other way round.
//!
//! Source: containers/storage, `internal/tempdir` and `internal/staging_lockfile`.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::ErrorKind as IoErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use cask_files::fault;

use crate::file::is_missing;
use crate::lock::Lock;
use crate::{Error, ErrorKind, Result, file, random};

/// The root of those of the driver. It lies among the directories of layers, and releases before 1.60 take it for one:
/// they fail to give layers their short links back while it is there.
///
/// Source: containers/storage 1.43, `drivers/overlay`, `recreateSymlinks`.
pub(crate) const DRIVER_ROOT: &str = "tempdirs";

const LOCK_PREFIX: &str = "lock-";
const DIRECTORY_PREFIX: &str = "temp-dir-";

/// A directory that is deleted when this is dropped, or after a crash by whoever comes next.
#[derive(Debug)]
pub(crate) struct TempDir {
    directory: PathBuf,
    lock_path: PathBuf,
    _lock: Lock,
    counter: u64,
}

impl TempDir {
    /// Makes one below a root, which is made where it does not exist.
    pub(crate) fn create(root: &Path) -> Result<Self> {
        loop {
            make_root(root)?;
            let suffix = random::suffix();
            let lock_path = root.join(format!("{LOCK_PREFIX}{suffix}"));
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(0o644);
            match fault::step().and_then(|()| options.open(&lock_path)) {
                Ok(_) => {}
                // Whoever was the last in there took the root away; somebody else may have made it again.
                Err(error) if error.kind() == IoErrorKind::NotFound && !root.is_symlink() => {
                    continue;
                }
                Err(error) => return Err(Error::io(error, "making", &lock_path)),
            }
            // Between making and locking it somebody may have swept it, and the root too.
            let lock = match Lock::try_acquire(&lock_path) {
                Ok(Some(lock)) if lock.is_current() => lock,
                Ok(_) => continue,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => {
                    let _ = fs::remove_file(&lock_path);
                    return Err(error);
                }
            };
            let directory = root.join(format!("{DIRECTORY_PREFIX}{suffix}"));
            let this = Self { directory, lock_path, _lock: lock, counter: 0 };
            make_directory(&this.directory)
                .map_err(|error| Error::io(error, "making the directory", &this.directory))?;
            return Ok(this);
        }
    }

    /// A path in the directory that nothing has yet.
    pub(crate) fn next_path(&mut self, name: &str) -> PathBuf {
        let path = self.directory.join(format!("{}-{name}", self.counter));
        self.counter += 1;
        path
    }

    /// Moves a file or a directory in here, to be deleted; says whether it was there.
    pub(crate) fn take(&mut self, path: &Path) -> Result<bool> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let to = self.next_path(&name);
        match fault::step().and_then(|()| fs::rename(path, &to)) {
            Ok(()) => Ok(true),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(Error::io(error, "moving away", path)),
        }
    }

    /// Deletes the directory and what is in it.
    pub(crate) fn remove(self) -> Result<()> {
        remove_tree(&self.directory)
        // The lock file goes with `drop`.
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let empty = fs::File::open(&self.directory);
        // What cannot be deleted keeps its lock file, by which the next one finds it.
        if remove_tree(&self.directory).is_ok() {
            let _ = fs::remove_file(&self.lock_path);
            let _ = empty.map(cask_files::let_go);
            if let Some(root) = self.lock_path.parent() {
                leave(root);
            }
        }
    }
}

/// Makes a root where it is not there; others may make it, and take it away, meanwhile.
fn make_root(root: &Path) -> Result<()> {
    match make_directory(root) {
        Err(error) if error.kind() == IoErrorKind::AlreadyExists => Ok(()),
        Err(error) if is_missing(&error) => file::make_directories(root, 0o700),
        made => made.map_err(|error| Error::io(error, "making the directory", root)),
    }
}

fn make_directory(path: &Path) -> std::io::Result<()> {
    fault::step().and_then(|()| DirBuilder::new().mode(0o700).create(path))
}

/// Takes the root of the driver's directories away if nobody works in there.
fn leave(root: &Path) {
    if root.ends_with(DRIVER_ROOT) {
        let _ = fs::remove_dir(root);
    }
}

/// Deletes what the dead left below a root; says how many directories that were.
pub(crate) fn sweep(root: &Path) -> Result<usize> {
    let stale = stale(root)?;
    let mut swept = 0;
    for suffix in stale {
        let lock_path = root.join(format!("{LOCK_PREFIX}{suffix}"));
        let Some(_lock) = lock_left(&lock_path)?.filter(Lock::is_current) else { continue };
        let directory = root.join(format!("{DIRECTORY_PREFIX}{suffix}"));
        swept += usize::from(directory.exists());
        remove_tree(&directory)?;
        file::remove_if_there(&lock_path)?;
    }
    leave(root);
    Ok(swept)
}

/// Locks what somebody left; nothing where that is in use, or went meanwhile with the root and all.
fn lock_left(path: &Path) -> Result<Option<Lock>> {
    match Lock::try_acquire(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        lock => lock,
    }
}

/// Directories and lock files below a root, by the end of their name; some may be in use.
fn stale(root: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if is_missing(&error) => return Ok(Vec::new()),
        Err(error) => return Err(Error::io(error, "listing", root)),
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut suffixes: Vec<String> = names
        .filter_map(|name| {
            let suffix = name.strip_prefix(LOCK_PREFIX).or(name.strip_prefix(DIRECTORY_PREFIX));
            suffix.map(str::to_owned)
        })
        .collect();
    suffixes.sort();
    suffixes.dedup();
    Ok(suffixes)
}

/// Directories that nobody works with any more.
pub(crate) fn abandoned(root: &Path) -> Result<Vec<PathBuf>> {
    let mut abandoned = Vec::new();
    for suffix in stale(root)? {
        let lock_path = root.join(format!("{LOCK_PREFIX}{suffix}"));
        let directory = root.join(format!("{DIRECTORY_PREFIX}{suffix}"));
        // Asking for the lock would make its file.
        let is_free = !lock_path.exists() || lock_left(&lock_path)?.is_some();
        if is_free && directory.exists() {
            abandoned.push(directory);
        }
    }
    Ok(abandoned)
}

/// Deletes a directory and all in it, or a file; nothing is no error.
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    match remove(path) {
        Err(error) if error.kind() == IoErrorKind::PermissionDenied => {
            // Layers hold directories that their owner may not write to.
            make_writable(path);
            remove(path).map_err(|error| Error::io(error, "deleting", path))
        }
        result => result.map_err(|error| Error::io(error, "deleting", path)),
    }
}

fn remove(path: &Path) -> std::io::Result<()> {
    fault::step()?;
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if is_missing(&error) => Ok(()),
        result => result,
    }
}

/// Lets the owner delete what is in a directory, as far as that works.
fn make_writable(directory: &Path) {
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        let _ = fs::set_permissions(&directory, fs::Permissions::from_mode(0o700));
        let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
        let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        waiting.extend(below.map(|entry| entry.path()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_is_not_swept_and_what_is_left_is() {
        let root = tempfile::tempdir().unwrap();
        let used = TempDir::create(root.path()).unwrap();
        fs::create_dir(root.path().join("temp-dir-dead")).unwrap();
        fs::write(root.path().join("temp-dir-dead/x"), "x").unwrap();
        fs::write(root.path().join("lock-alone"), "").unwrap();
        assert_eq!(sweep(root.path()).unwrap(), 1);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
        drop(used);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn whoever_takes_the_root_away_meanwhile_makes_no_sweep_fail() {
        let root = tempfile::tempdir().unwrap();
        assert!(lock_left(&root.path().join("tempdirs/lock-1")).unwrap().is_none());
        assert!(lock_left(&root.path().join("lock-1")).unwrap().is_some());
    }

    #[test]
    fn many_who_make_the_root_and_take_it_away_do_not_disturb_one_another() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join(DRIVER_ROOT);
        let work = || (0..500).for_each(|_| drop(TempDir::create(&root).unwrap()));
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(work))));
        assert!(!root.exists());
    }

    #[test]
    fn what_was_taken_goes() {
        let root = tempfile::tempdir().unwrap();
        let victim = root.path().join("victim");
        fs::create_dir_all(victim.join("a/b")).unwrap();
        let mut temp = TempDir::create(&root.path().join("tmp")).unwrap();
        assert!(temp.take(&victim).unwrap());
        assert!(!temp.take(&victim).unwrap());
        temp.remove().unwrap();
        assert_eq!(fs::read_dir(root.path().join("tmp")).unwrap().count(), 0);
    }
}
