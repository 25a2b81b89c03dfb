//! A disk that is full.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::support::*;
use crate::{ErrorKind, PruneOptions, Store};

/// A small file system of its own.
pub(super) struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Makes one, or `None` where the user may not.
    pub(super) fn new() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = mount("tmpfs", directory.path(), "tmpfs", MountFlags::empty(), c"size=4m");
        assert!(mounted.is_ok() || std::env::var_os("CI").is_none(), "root is needed");
        mounted.ok()?;
        Some(Self(directory))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes the last byte that there is.
    fn fill(&self) {
        let mut file = fs::File::create(self.path().join("filler")).unwrap();
        for size in [1 << 16, 1 << 10, 1] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(self.path(), UnmountFlags::DETACH).unwrap();
    }
}

#[test]
fn images_are_deleted_and_waste_is_pruned_on_a_full_disk() {
    let Some(disk) = SmallDisk::new() else { return };
    let store = open(disk.path());
    let one = put(&store, &["base", "one"], "one").unwrap();
    let two = put(&store, &["base", "two"], "two").unwrap();
    assert!(store.reserved_bytes() >= 256 << 10);
    disk.fill();
    let failed = put(&store, &["base", "three"], "three");
    assert!(failed.is_err());
    assert_eq!(names(&store), ["one", "two"]);

    store.delete_image(&one).unwrap();
    check_clean(disk.path(), "deleted");
    // What that gave free is taken, too.
    let _ = fs::remove_file(disk.path().join("root/cask/reserve"));
    fs::remove_file(disk.path().join("filler")).unwrap();
    store.refill_reserve();
    disk.fill();
    let images = disk.path().join("root/overlay-images");
    let error = store.set_image_data(&two, "big", &vec![0; 1 << 20]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace);
    fs::write(images.join("images.json"), "[]").unwrap();
    let store = Store::open(options(disk.path())).unwrap();
    let pruned = store.prune(&PruneOptions { older_than: Duration::ZERO }).unwrap();
    assert_eq!(pruned.removed.len(), 3);
    check_clean(disk.path(), "pruned");
}
