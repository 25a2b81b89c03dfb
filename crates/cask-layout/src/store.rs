//! Replacing the files of a layout: `oci-layout` and `index.json`.

use std::io::Write as _;
use std::sync::Arc;

use cask_image::MAX_MANIFEST_BYTES;
use rustix::fs::{Gid, Mode as FileMode, Stat, Uid};

use crate::directory::Directory;
use crate::index::IndexDocument;
use crate::layout::{INDEX_FILE, MARKER_FILE, VERSION, read_file, read_marker};
use crate::lock::{Lock, Mode};
use crate::temp::TempFile;
use crate::{Durability, Error, Layout, Result};

/// Reads `index.json`, changes it and replaces it, while nobody else does. A layout that has no
/// such file yet gets one, and `oci-layout` before it.
///
/// If the change says that there is nothing to do, by an error, nothing is written.
pub(crate) fn write_index<T>(
    layout: &Layout,
    root: &Arc<Directory>,
    change: impl FnOnce(&mut IndexDocument) -> Result<T>,
) -> Result<T> {
    let _lock = Lock::acquire(root, Mode::Exclusive, layout.options())?;
    let path = root.describe(INDEX_FILE);
    let mut index = match read_file(root, INDEX_FILE, MAX_MANIFEST_BYTES)? {
        Some(bytes) => IndexDocument::parse(&bytes, &path)?,
        None => IndexDocument::empty(),
    };
    let changed = change(&mut index)?;
    let bytes = index.encode(&path)?;
    let durable = layout.options().durability == Durability::Power;
    let is_new = !read_marker(root)?;
    if is_new {
        let marker = format!("{{\"imageLayoutVersion\":\"{VERSION}\"}}");
        replace_file(root, MARKER_FILE, marker.as_bytes(), durable)?;
    }
    let replaced = replace_file(root, INDEX_FILE, &bytes, durable);
    if is_new && replaced.is_err() {
        // Without an index it marks nothing. Left behind, it would do no harm.
        let _ = root.unlink(MARKER_FILE);
    }
    replaced?;
    if durable {
        root.sync()?;
    }
    Ok(changed)
}

fn replace_file(root: &Arc<Directory>, name: &str, bytes: &[u8], durable: bool) -> Result<()> {
    let mut file = TempFile::create_named(root)?;
    file.write_all(bytes).map_err(|error| Error::io(error, "writing", root.describe(name)))?;
    if let Some(old) = root.stat(name)? {
        keep_owner_and_mode(&file, &old)
            .map_err(|error| Error::io(error, "writing", root.describe(name)))?;
    }
    if durable {
        file.sync()?;
    }
    file.replace(root, name)
}

/// A file that is replaced goes on belonging to whom it belonged, as far as that is allowed.
fn keep_owner_and_mode(file: &TempFile, old: &Stat) -> rustix::io::Result<()> {
    let new = rustix::fs::fstat(file.file())?;
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid) {
        let (user, group) = (Uid::from_raw(old.st_uid), Gid::from_raw(old.st_gid));
        match rustix::fs::fchown(file.file(), Some(user), Some(group)) {
            Ok(()) | Err(rustix::io::Errno::PERM | rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(error),
        }
    }
    let mode = FileMode::from_raw_mode(old.st_mode & 0o777);
    if new.st_mode & 0o777 != old.st_mode & 0o777 {
        rustix::fs::fchmod(file.file(), mode)?;
    }
    Ok(())
}
