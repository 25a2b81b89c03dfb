//! Changes as one layer of an overlay mount has them.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use cask_rootfs::{Kind, Metadata, Order, Parents, Root};

use super::{ChangeKind, FileChange, join};

/// What the upper directory of an overlay mount changes of the layers below, the newest first.
///
/// Source: containers/storage, `pkg/archive`, `OverlayChanges`.
pub(super) fn changes(upper: &Root, lowers: &[Root]) -> cask_rootfs::Result<Vec<FileChange>> {
    let mut parents = Parents::new(upper);
    let mut found = Vec::new();
    let mut told = HashSet::new();
    let mut left = names(&mut parents, b"")?;
    while let Some(path) = left.pop() {
        let (directory, name) = parents.entry(OsStr::from_bytes(&path))?;
        let here = match directory.metadata(name) {
            // It went while this looked.
            Err(error) if error.kind() == cask_rootfs::ErrorKind::NotFound => continue,
            other => other?,
        };
        let opaque = here.is_directory() && {
            let value = |name: &OsStr, attribute| directory.attribute(name, attribute);
            ["trusted.overlay.opaque", "user.overlay.opaque"]
                .iter()
                .any(|attribute| matches!(value(name, attribute), Ok(Some(set)) if set == b"y"))
        };
        let kind = kind(lowers, &path, &here, opaque);
        if here.is_directory() {
            left.extend(names(&mut parents, &path)?);
        }
        let Some(kind) = kind else { continue };
        if here.is_directory() {
            told.insert(path.clone());
        }
        if kind != ChangeKind::Changed {
            let parent = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash);
            let parent = path[..parent].to_vec();
            if !parent.is_empty() && told.insert(parent.clone()) {
                found.push(FileChange { kind: ChangeKind::Changed, path: parent });
            }
        }
        found.push(FileChange { kind, path });
    }
    Ok(found)
}

/// What became of an entry; `None` for a directory that only holds what changed.
fn kind(lowers: &[Root], path: &[u8], here: &Metadata, opaque: bool) -> Option<ChangeKind> {
    if is_whiteout(here) || (opaque && is_hidden(lowers, path)) {
        return Some(ChangeKind::Deleted);
    }
    for lower in lowers {
        if removed_above(lower, path) {
            break;
        }
        let Ok(there) = lower.metadata(OsStr::from_bytes(path)) else { continue };
        if is_whiteout(&there) {
            break;
        }
        let same = |here: &Metadata, there: &Metadata| {
            (here.mode, here.modified, here.size_bytes)
                == (there.mode, there.modified, there.size_bytes)
        };
        if here.is_directory() && there.is_directory() && same(here, &there) {
            return None;
        }
        return Some(ChangeKind::Changed);
    }
    Some(ChangeKind::Added)
}

/// Whether one of the older layers has what an opaque directory hides.
fn is_hidden(lowers: &[Root], path: &[u8]) -> bool {
    for lower in lowers {
        match lower.metadata(OsStr::from_bytes(path)) {
            Ok(there) => return !is_whiteout(&there),
            Err(_) if removed_above(lower, path) => return false,
            Err(_) => {}
        }
    }
    false
}

/// Whether a layer removes a directory that leads to a path.
fn removed_above(layer: &Root, path: &[u8]) -> bool {
    let slashes = path.iter().enumerate().skip(1).filter(|(_, byte)| **byte == b'/');
    let mut above = slashes.map(|(place, _)| OsStr::from_bytes(&path[..place]));
    above.any(|path| layer.metadata(path).is_ok_and(|found| is_whiteout(&found)))
}

fn is_whiteout(found: &Metadata) -> bool {
    found.kind == Kind::CharDevice && (found.device_major, found.device_minor) == (0, 0)
}

/// The paths in a directory, the first one last.
fn names(parents: &mut Parents<'_>, path: &[u8]) -> cask_rootfs::Result<Vec<Vec<u8>>> {
    let entries = parents.directory(OsStr::from_bytes(path))?.entries(Order::Name)?;
    Ok(entries.into_iter().rev().map(|entry| join(path, &entry.name)).collect())
}
