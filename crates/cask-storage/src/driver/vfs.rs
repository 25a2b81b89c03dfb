//! The vfs driver: each layer is a whole tree.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::copy::{OPAQUE, directory_facts};
use crate::{Error, Result};

/// Puts the files of a layer, with whiteouts as the overlay has them, over a whole tree. The files
/// are moved.
pub(crate) fn merge(layer: &Path, tree: &Path, rootless: bool) -> Result<()> {
    let mut waiting = vec![(layer.to_owned(), tree.to_owned())];
    let mut done = Vec::new();
    while let Some((layer, tree)) = waiting.pop() {
        let entries = fs::read_dir(&layer).map_err(|e| Error::io(e, "listing", &layer))?;
        for entry in entries {
            let entry = entry.map_err(|e| Error::io(e, "listing", &layer))?;
            let (from, to) = (entry.path(), tree.join(entry.file_name()));
            let metadata = fs::symlink_metadata(&from);
            let metadata = metadata.map_err(|e| Error::io(e, "looking at", &from))?;
            let into = metadata.is_dir()
                && !is_opaque(&from)
                && fs::symlink_metadata(&to).is_ok_and(|below| below.is_dir());
            if into {
                waiting.push((from, to));
                continue;
            }
            crate::temp::remove_tree(&to)?;
            if metadata.file_type().is_char_device() && metadata.rdev() == 0 {
                continue;
            }
            fs::rename(&from, &to).map_err(|error| Error::io(error, "placing", &to))?;
            forget_opaque(&to)?;
        }
        done.push((layer, tree));
    }
    done.iter().rev().try_for_each(|(layer, tree)| directory_facts(layer, tree, rootless))
}

fn is_opaque(path: &Path) -> bool {
    let mut value = [0; 2];
    let is = |name| {
        rustix::fs::lgetxattr(path, name, &mut value).is_ok_and(|length| &value[..length] == b"y")
    };
    OPAQUE.into_iter().any(is)
}

/// Takes the marks of the overlay from a tree that was moved: here they would be files' own.
fn forget_opaque(path: &Path) -> Result<()> {
    let mut waiting = vec![path.to_owned()];
    while let Some(path) = waiting.pop() {
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if metadata.file_type().is_char_device() && metadata.rdev() == 0 {
            fs::remove_file(&path).map_err(|error| Error::io(error, "deleting", &path))?;
        }
        if !metadata.is_dir() {
            continue;
        }
        for name in OPAQUE {
            // Most directories have none.
            let _ = rustix::fs::lremovexattr(&path, name);
        }
        let entries = fs::read_dir(&path).map_err(|error| Error::io(error, "listing", &path))?;
        waiting.extend(entries.flatten().map(|entry| entry.path()));
    }
    Ok(())
}
