//! Listing a directory.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;

use crate::{Directory, Kind, Operation, Result};

/// In which order a directory is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As the file system has them: the cheapest.
    Any,
    /// By name, bytewise.
    Name,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DirectoryEntry {
    /// The name.
    pub name: OsString,
    /// What it is, or was a moment ago; [`Kind::Unknown`] where the file system does not say.
    pub kind: Kind,
}

impl Directory {
    /// Lists the entries, without `.` and `..`.
    ///
    /// # Errors
    ///
    /// [`Denied`](crate::ErrorKind::Denied) where the directory may not be read.
    pub fn entries(&self, order: Order) -> Result<Vec<DirectoryEntry>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut found = rustix::fs::openat(self, ".", flags, Mode::empty())
            .and_then(Dir::new)
            .and_then(list)
            .map_err(|errno| self.system(Operation::ReadDirectory, OsStr::new(""), errno))?;
        if order == Order::Name {
            found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        }
        Ok(found)
    }
}

/// The entries of an open directory.
pub(crate) fn list(open: Dir) -> Result<Vec<DirectoryEntry>, Errno> {
    let mut found = Vec::new();
    for entry in open {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            let name = OsStr::from_bytes(name).to_owned();
            found.push(DirectoryEntry { name, kind: Kind::of(entry.file_type()) });
        }
    }
    Ok(found)
}
