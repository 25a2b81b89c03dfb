//! Space that is kept back, so that deleting works on a full disk.
//!
//! Replacing a JSON file needs room for the new one beside the old one. Where there is none, the
//! reserve is given up and the file is written in its place; it is filled again once there is
//! room.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;

use crate::{ErrorKind, Result};

/// The least that is kept back.
const LEAST_BYTES: u64 = 256 << 10;

/// Where the space is kept: in a directory that only this program has, which peers ignore.
fn path(root: &Path) -> PathBuf {
    own_directory(root).join("reserve")
}

/// The directory for what peers do not know, in the graph root.
pub(crate) fn own_directory(root: &Path) -> PathBuf {
    root.join("cask")
}

/// Does something that needs little space; where there is none, once more without the reserve.
pub(crate) fn with<T>(root: &Path, action: impl Fn() -> Result<T>) -> Result<T> {
    let result = action();
    let full = result.as_ref().is_err_and(|error| error.kind() == ErrorKind::NoSpace);
    if full && give_up(root) { action() } else { result }
}

/// Gives up the reserve; says whether there was one.
pub(crate) fn give_up(root: &Path) -> bool {
    fs::remove_file(path(root)).is_ok()
}

/// Keeps back room for files of so many bytes, where that is possible.
pub(crate) fn keep(root: &Path, bytes: u64) {
    let path = path(root);
    // Room for each of three files, and for the directory's own blocks.
    let wanted = (bytes * 2).max(LEAST_BYTES);
    if fs::metadata(&path).is_ok_and(|now| now.blocks() * 512 >= wanted) {
        return;
    }
    // A full disk, or one that cannot reserve, is no reason to fail.
    let _ = fill(&path, wanted);
}

fn fill(path: &Path, bytes: u64) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut options = OpenOptions::new();
    let file: File = options.write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let allocated = rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes);
    if allocated.is_err() {
        // Part of it is worse than nothing: the disk is full.
        fs::remove_file(path)?;
    }
    Ok(allocated?)
}
