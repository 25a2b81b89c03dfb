//! Changes from one tree to another.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use cask_rootfs::{ErrorKind, Metadata, Order, Parents, Root};

use super::{ChangeKind, FileChange, join};

/// What a tree has otherwise than another, or than none.
///
/// Source: containers/storage, `pkg/archive`, `ChangesDirs`.
pub(super) fn changes(base: Option<&Root>, tree: &Root) -> cask_rootfs::Result<Vec<FileChange>> {
    let mut walk =
        Walk { base: base.map(Parents::new), tree: Parents::new(tree), found: Vec::new() };
    let mut levels = vec![walk.level(Vec::new(), true)?];
    while let Some(level) = levels.last_mut() {
        match level.left.pop() {
            Some(name) => {
                let below = walk.entry(&name, &mut levels)?;
                levels.extend(below);
            }
            None => drop(levels.pop()),
        }
    }
    Ok(walk.found)
}

struct Walk<'r> {
    base: Option<Parents<'r>>,
    tree: Parents<'r>,
    found: Vec<FileChange>,
}

/// A directory on the way down.
struct Level {
    path: Vec<u8>,
    /// It was in the base too, and nothing was said of it yet.
    untold: bool,
    in_base: bool,
    left: Vec<OsString>,
}

impl Walk<'_> {
    fn level(&mut self, path: Vec<u8>, in_base: bool) -> cask_rootfs::Result<Level> {
        let mut names = BTreeSet::new();
        let mut list = |parents: &mut Parents<'_>| -> cask_rootfs::Result<()> {
            let entries = parents.directory(OsStr::from_bytes(&path))?.entries(Order::Any)?;
            names.extend(entries.into_iter().map(|entry| entry.name));
            Ok(())
        };
        list(&mut self.tree)?;
        if let Some(base) = &mut self.base
            && in_base
        {
            list(base)?;
        }
        Ok(Level { path, untold: false, in_base, left: names.into_iter().rev().collect() })
    }

    fn entry(&mut self, name: &OsStr, levels: &mut [Level]) -> cask_rootfs::Result<Option<Level>> {
        let level = levels.last().expect("the name came from it");
        let path = join(&level.path, name);
        let new = look(&mut self.tree, &level.path, name)?;
        let old = match &mut self.base {
            Some(base) if level.in_base => look(base, &level.path, name)?,
            _ => None,
        };
        let kind = match (&old, &new) {
            (None, None) => return Ok(None),
            (None, Some(_)) => Some(ChangeKind::Added),
            (Some(_), None) => Some(ChangeKind::Deleted),
            (Some(old), Some(new)) => differ(old, new).then_some(ChangeKind::Changed),
        };
        if let Some(kind) = kind {
            for level in levels.iter_mut().filter(|level| level.untold) {
                level.untold = false;
                let path = level.path.clone();
                self.found.push(FileChange { kind: ChangeKind::Changed, path });
            }
            self.found.push(FileChange { kind, path: path.clone() });
        }
        if !new.is_some_and(|new| new.is_directory()) {
            return Ok(None);
        }
        let mut level = self.level(path, old.is_some_and(|old| old.is_directory()))?;
        level.untold = kind.is_none();
        Ok(Some(level))
    }
}

fn look(
    parents: &mut Parents<'_>,
    parent: &[u8],
    name: &OsStr,
) -> cask_rootfs::Result<Option<Metadata>> {
    match parents.directory(OsStr::from_bytes(parent))?.metadata(name) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn differ(old: &Metadata, new: &Metadata) -> bool {
    let about = |found: &Metadata| {
        let devices = (found.device_major, found.device_minor);
        (found.kind, found.mode, found.uid, found.gid, devices)
    };
    let contents = |found: &Metadata| (found.size_bytes, found.modified);
    about(old) != about(new) || (!new.is_directory() && contents(old) != contents(new))
}
