//! Doing what whiteouts say.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use cask_rootfs::{Directory, ErrorKind, Node, Order, Result, Root};

/// Which entries this layer made: the directory's device and number, and the name in it. Neither
/// depends on the path by which a member came.
#[derive(Debug, Default)]
pub(super) struct Made(HashSet<(u64, u64, Box<[u8]>)>);

impl Made {
    pub(super) fn insert(&mut self, directory: &Directory, name: &OsStr) -> Result<()> {
        let key = key(directory, name)?;
        self.0.insert(key);
        Ok(())
    }

    fn contains(&self, directory: &Directory, name: &OsStr) -> Result<bool> {
        Ok(self.0.contains(&key(directory, name)?))
    }
}

fn key(directory: &Directory, name: &OsStr) -> Result<(u64, u64, Box<[u8]>)> {
    let found = directory.own_metadata()?;
    Ok((found.device, found.inode, name.as_bytes().into()))
}

/// Marks a name as deleted for an overlay mount. True where a new entry was made of it.
pub(super) fn mark(directory: &Directory, name: &OsStr, opaque: &str) -> Result<bool> {
    let whiteout = Node::CharDevice { major: 0, minor: 0 };
    match directory.create_node(name, whiteout, 0) {
        Ok(()) => return Ok(true),
        Err(error) if error.kind() == ErrorKind::Exists => {}
        Err(error) => return Err(error),
    }
    // The layer brings the name itself: only what older layers have under it is gone.
    if directory.metadata(name)?.is_directory() {
        directory.set_attribute(name, opaque, b"y")?;
    }
    Ok(false)
}

/// Whether an entry is what [`mark`] makes.
pub(super) fn is_mark(found: &cask_rootfs::Metadata) -> bool {
    found.kind == cask_rootfs::Kind::CharDevice
        && (found.device_major, found.device_minor) == (0, 0)
}

/// What is still to do in a tree.
enum Visit {
    Enter(OsString),
    Leave(OsString),
}

/// Removes an entry of older layers and all below it, but not what this layer made there.
pub(super) fn remove(root: &Root, path: OsString, made: &Made) -> Result<()> {
    let mut visits = vec![Visit::Enter(path)];
    while let Some(visit) = visits.pop() {
        match visit {
            Visit::Enter(path) => {
                let (directory, name) = root.entry(&path)?;
                let found = match directory.metadata(name) {
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    other => other?,
                };
                if made.0.is_empty() {
                    directory.remove_all(name)?;
                } else if found.is_directory() {
                    let inside = directory.open_dir(name)?.entries(Order::Any)?;
                    let below: Vec<_> =
                        inside.iter().map(|entry| join(&path, &entry.name)).collect();
                    visits.push(Visit::Leave(path));
                    visits.extend(below.into_iter().map(Visit::Enter));
                } else if !made.contains(&directory, name)? {
                    directory.remove_file(name)?;
                }
            }
            Visit::Leave(path) => {
                let (directory, name) = root.entry(&path)?;
                if !made.contains(&directory, name)? {
                    match directory.remove_dir(name) {
                        // Something of this layer is in it.
                        Err(error) if error.kind() == ErrorKind::NotEmpty => {}
                        other => other?,
                    }
                }
            }
        }
    }
    Ok(())
}

/// Removes everything that older layers have in a directory.
pub(super) fn empty(root: &Root, path: &OsStr, made: &Made) -> Result<()> {
    for entry in root.directory(path)?.entries(Order::Any)? {
        remove(root, join(path, &entry.name), made)?;
    }
    Ok(())
}

pub(super) fn join(path: &OsStr, name: &OsStr) -> OsString {
    let mut joined = path.as_bytes().to_vec();
    if !joined.is_empty() {
        joined.push(b'/');
    }
    joined.extend_from_slice(name.as_bytes());
    OsString::from_vec(joined)
}
