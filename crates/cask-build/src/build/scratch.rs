//! Directories for what a build needs for a while.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use cask_storage::Store;

use crate::{Error, Result};

/// What the directory of a build begins with; its lock has the same name and ends so.
const PREFIX: &str = "build-";
const LOCK: &str = ".lock";

/// A directory of one build, which is gone when this is dropped. That of a build that was killed
/// goes with the next one.
#[derive(Debug)]
pub(crate) struct Scratch {
    directory: TempDir,
    lock_path: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Makes one below `root`, and sweeps up after the dead, who may hold images of the store.
    pub(crate) fn new(root: &Path, store: &Store) -> Result<Self> {
        crate::cache::make_directory(root)?;
        sweep(root, store);
        let failed = |error| Error::io(error, "cannot be written to", root);
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(root).map_err(failed)?;
        let mut lock_path = directory.path().as_os_str().to_owned();
        lock_path.push(LOCK);
        let lock_path = PathBuf::from(lock_path);
        let mut options = OpenOptions::new();
        let lock = options.write(true).create(true).truncate(true).mode(0o600).open(&lock_path);
        let lock = lock.map_err(failed)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
        Ok(Self { directory, lock_path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.lock_path);
    }
}

/// Deletes what nobody has locked any more, as far as that goes.
fn sweep(root: &Path, store: &Store) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        let Some(own) = name.strip_suffix(LOCK) else { continue };
        let Ok(lock) = File::open(&path) else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            super::hold::release(store, &root.join(own));
            let _ = fs::remove_dir_all(root.join(own));
            let _ = fs::remove_file(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use cask_storage::{Id, NewContainer, NewImage, StoreOptions};

    use super::*;

    #[test]
    fn what_a_dead_build_left_goes_with_the_next_one() {
        let root = tempfile::tempdir().unwrap();
        let place = tempfile::tempdir().unwrap();
        let options = StoreOptions::new(place.path().join("root"), place.path().join("run"));
        let store = Store::open(options).unwrap();
        let image = store.commit_image(NewImage::new(Id::random())).unwrap();
        let mut held = NewContainer::new(Some(image.id.clone()));
        held.names = vec!["held".to_owned()];
        let held = store.create_container(&held).unwrap();
        let live = Scratch::new(root.path(), &store).unwrap();
        fs::write(live.path().join("x"), "x").unwrap();
        fs::create_dir(root.path().join("build-dead")).unwrap();
        let note = format!("build-dead/cask-build-holds-{}", held.id.as_str());
        fs::write(root.path().join(note), "").unwrap();
        store.delete_image(&image.id).unwrap_err();
        fs::write(root.path().join("build-dead.lock"), "").unwrap();
        let next = Scratch::new(root.path(), &store).unwrap();
        store.delete_image(&image.id).unwrap();
        assert!(live.path().join("x").exists() && !root.path().join("build-dead").exists());
        drop((live, next));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
