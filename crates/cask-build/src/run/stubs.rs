//! Where things are mounted that the image has no place for.
//!
//! The places are made in a directory of their own between the image and what the command writes.
//! So they are never among the changes, and nothing has to be deleted afterwards.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use cask_rootfs::{Directory, Kind, Node, Root, Timestamp};

use crate::Result;
use crate::view::{View, failed, parent_and_name};

/// What there is to be at a path.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Directory,
    /// A file with these bytes.
    File {
        bytes: Vec<u8>,
        mode: u32,
    },
    /// A character device: its numbers.
    Device {
        major: u32,
        minor: u32,
    },
}

/// Makes places in `beneath` for paths that lead nowhere in `view`. A file with bytes is made where
/// one is already, too, and hides it.
pub(super) fn make(view: &View, beneath: &Root, places: &[(String, Place)]) -> Result<()> {
    let mut stubs = Stubs { view, beneath, copied: Vec::new() };
    for (path, place) in places {
        let found = view.resolve(path)?;
        let hides = matches!(place, Place::File { bytes, .. } if !bytes.is_empty());
        let hidden = found.status.is_some_and(|status| hides && status.kind == Kind::File);
        if (found.status.is_none() || hidden) && !found.path.is_empty() {
            stubs.place(&found.path, place)?;
        }
    }
    stubs.set_times()
}

/// Makes a directory that the image does not have, with those on the way: in a root that is written to,
/// whether there is a place of a mount already or not.
pub(super) fn make_directories(
    view: &View,
    root: &Root,
    path: &str,
    owner: (u32, u32),
) -> Result<()> {
    let found = view.resolve(path)?;
    if found.status.is_some() {
        return Ok(());
    }
    let mut walker = view.walker();
    let ends = found.path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    for end in ends.chain([found.path.len()]) {
        let path = &found.path[..end];
        if walker.status(path)?.is_some() {
            continue;
        }
        let (parent, name) = parent_and_name(path);
        let parent = root.directory(OsStr::from_bytes(parent)).map_err(failed)?;
        let name = OsStr::from_bytes(name);
        if parent.metadata(name).is_err() {
            parent.create_dir(name, 0o755).map_err(failed)?;
        }
        // This brings it into the layer, too, where it was a place only.
        parent.set_owner(name, owner.0, owner.1).map_err(failed)?;
        parent.set_mode(name, 0o755).map_err(failed)?;
    }
    Ok(())
}

struct Stubs<'a> {
    view: &'a View,
    beneath: &'a Root,
    /// Directories of the image that are in here, too, with their times.
    copied: Vec<(Vec<u8>, Timestamp)>,
}

impl Stubs<'_> {
    fn place(&mut self, path: &[u8], place: &Place) -> Result<()> {
        let (parent, name) = parent_and_name(path);
        self.directories(parent)?;
        let directory = self.beneath.directory(OsStr::from_bytes(parent)).map_err(failed)?;
        let name = OsStr::from_bytes(name);
        if directory.metadata(name).is_ok() {
            return Ok(());
        }
        match place {
            Place::Directory => directory.create_dir(name, 0o755).map_err(failed),
            Place::File { bytes, mode } => {
                use std::io::Write;
                let mut file = directory.create_file(name, 0o600).map_err(failed)?;
                file.write_all(bytes).map_err(|error| {
                    crate::Error::io(error, "cannot be written", std::path::Path::new(name))
                })?;
                directory.set_mode(name, *mode).map_err(failed)
            }
            Place::Device { major, minor } => {
                let node = Node::CharDevice { major: *major, minor: *minor };
                // In a user namespace there are none to be made.
                let _ = directory.create_node(name, node, 0o666);
                let _ = directory.set_mode(name, 0o666);
                Ok(())
            }
        }
    }

    /// Makes the directories of a path: those of the image as they are in the image, since what is
    /// here is what is seen.
    fn directories(&mut self, path: &[u8]) -> Result<()> {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let ends: Vec<usize> = ends.chain((!path.is_empty()).then_some(path.len())).collect();
        for end in ends {
            let path = &path[..end];
            let (parent, name) = parent_and_name(path);
            let parent = self.beneath.directory(OsStr::from_bytes(parent)).map_err(failed)?;
            let name = OsStr::from_bytes(name);
            if parent.metadata(name).is_ok() {
                continue;
            }
            parent.create_dir(name, 0o755).map_err(failed)?;
            let mut walker = self.view.walker();
            let Some(status) = walker.status(path)? else { continue };
            // A user's store has nobody else's files on the disk.
            let _ = parent.set_owner(name, status.uid, status.gid);
            for (attribute, value) in walker.xattrs(path)? {
                let _ = parent.set_attribute(name, OsStr::from_bytes(&attribute), &value);
            }
            parent.set_mode(name, status.mode).map_err(failed)?;
            self.copied.push((path.to_vec(), status.modified));
        }
        Ok(())
    }

    fn set_times(&self) -> Result<()> {
        for (path, time) in self.copied.iter().rev() {
            let (parent, name) = parent_and_name(path);
            let parent: Directory =
                self.beneath.directory(OsStr::from_bytes(parent)).map_err(failed)?;
            parent.set_times(OsStr::from_bytes(name), *time, *time).map_err(failed)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn places_are_made_beneath_and_directories_look_as_in_the_image() {
        let image = tempfile::tempdir().unwrap();
        fs::create_dir(image.path().join("etc")).unwrap();
        fs::create_dir(image.path().join("proc")).unwrap();
        fs::set_permissions(image.path().join("etc"), fs::Permissions::from_mode(0o710)).unwrap();
        symlink("../run/resolve/conf", image.path().join("etc/resolv.conf")).unwrap();
        let before = fs::metadata(image.path().join("etc")).unwrap();
        let beneath = tempfile::tempdir().unwrap();
        let view = View::of_root(Root::open(image.path()).unwrap());
        let empty = || Place::File { bytes: Vec::new(), mode: 0o644 };
        let places = [
            ("/etc/hosts".to_owned(), empty()),
            ("/etc/resolv.conf".to_owned(), empty()),
            ("/proc".to_owned(), Place::Directory),
            ("/a/../../b/c".to_owned(), Place::Directory),
        ];
        make(&view, &Root::open(beneath.path()).unwrap(), &places).unwrap();
        let made = |path: &str| beneath.path().join(path);
        assert!(made("etc/hosts").is_file() && made("run/resolve/conf").is_file());
        assert!(made("b/c").is_dir() && !made("proc").exists());
        let after = fs::metadata(made("etc")).unwrap();
        assert_eq!(after.permissions().mode(), before.permissions().mode());
        assert_eq!(after.modified().unwrap(), before.modified().unwrap());
        assert!(fs::symlink_metadata(made("etc/resolv.conf")).is_err());
    }
}
