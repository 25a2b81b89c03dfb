//! Extended attributes of entries.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use crate::directory::descriptor_path;
use crate::{Directory, Operation, Result};

/// What the kernel allows for one value, and for all names together.
const LARGEST: usize = 64 * 1024;

impl Directory {
    /// The value of an extended attribute of an entry itself, or `None` where it has none such.
    ///
    /// A file system without extended attributes has none such.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) without the entry, or without `/proc`.
    pub fn attribute(
        &self,
        name: impl AsRef<OsStr>,
        attribute: impl AsRef<OsStr>,
    ) -> Result<Option<Vec<u8>>> {
        let name = self.checked(Operation::ReadAttributes, name.as_ref())?;
        let path = self.entry_path(name);
        let mut value = Vec::new();
        // Most are short, and the kernel copies nothing where the buffer is too small.
        for room in [256, LARGEST] {
            value.resize(room, 0);
            match rustix::fs::lgetxattr(&path, attribute.as_ref(), &mut value[..]) {
                Ok(length) => {
                    value.truncate(length);
                    return Ok(Some(value));
                }
                Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(None),
                Err(Errno::RANGE) => {}
                Err(errno) => return Err(self.system(Operation::ReadAttributes, name, errno)),
            }
        }
        Err(self.system(Operation::ReadAttributes, name, Errno::RANGE))
    }

    /// The names of the extended attributes of an entry itself that the caller may see, sorted.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) without the entry, or without `/proc`.
    pub fn attributes(&self, name: impl AsRef<OsStr>) -> Result<Vec<OsString>> {
        let name = self.checked(Operation::ReadAttributes, name.as_ref())?;
        let path = self.entry_path(name);
        let mut names = Vec::new();
        for room in [256, LARGEST] {
            names.resize(room, 0);
            match rustix::fs::llistxattr(&path, &mut names[..]) {
                Ok(length) => {
                    names.truncate(length);
                    return Ok(split(&names));
                }
                Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
                Err(Errno::RANGE) => {}
                Err(errno) => return Err(self.system(Operation::ReadAttributes, name, errno)),
            }
        }
        Err(self.system(Operation::ReadAttributes, name, Errno::RANGE))
    }

    /// Sets an extended attribute of an entry itself, whether it has one such or not.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where the file system has none of its kind;
    /// `Denied` without the privilege, and for `user.` on anything but files and directories.
    pub fn set_attribute(
        &self,
        name: impl AsRef<OsStr>,
        attribute: impl AsRef<OsStr>,
        value: &[u8],
    ) -> Result<()> {
        let name = self.checked(Operation::SetAttribute, name.as_ref())?;
        let path = self.entry_path(name);
        rustix::fs::lsetxattr(&path, attribute.as_ref(), value, XattrFlags::empty())
            .map_err(|errno| self.system(Operation::SetAttribute, name, errno))
    }

    /// Takes an extended attribute from an entry itself; one that it does not have is no error.
    ///
    /// # Errors
    ///
    /// As [`set_attribute`](Self::set_attribute).
    pub fn remove_attribute(
        &self,
        name: impl AsRef<OsStr>,
        attribute: impl AsRef<OsStr>,
    ) -> Result<()> {
        let name = self.checked(Operation::SetAttribute, name.as_ref())?;
        match rustix::fs::lremovexattr(self.entry_path(name), attribute.as_ref()) {
            Ok(()) | Err(Errno::NODATA) => Ok(()),
            Err(errno) => Err(self.system(Operation::SetAttribute, name, errno)),
        }
    }

    /// The value of an extended attribute of the directory itself, or `None`.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) without `/proc`.
    pub fn own_attribute(&self, attribute: impl AsRef<OsStr>) -> Result<Option<Vec<u8>>> {
        let path = descriptor_path(self.as_fd());
        let mut value = vec![0; LARGEST];
        match rustix::fs::getxattr(&path, attribute.as_ref(), &mut value[..]) {
            Ok(length) => {
                value.truncate(length);
                Ok(Some(value))
            }
            Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
            Err(errno) => Err(self.system(Operation::ReadAttributes, OsStr::new(""), errno)),
        }
    }

    /// The names of the extended attributes of the directory itself, sorted.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) without `/proc`.
    pub fn own_attributes(&self) -> Result<Vec<OsString>> {
        let mut names = vec![0; LARGEST];
        match rustix::fs::listxattr(descriptor_path(self.as_fd()), &mut names[..]) {
            Ok(length) => Ok(split(&names[..length])),
            Err(Errno::OPNOTSUPP) => Ok(Vec::new()),
            Err(errno) => Err(self.system(Operation::ReadAttributes, OsStr::new(""), errno)),
        }
    }

    /// Sets an extended attribute of the directory itself.
    ///
    /// # Errors
    ///
    /// As [`set_attribute`](Self::set_attribute).
    pub fn set_own_attribute(&self, attribute: impl AsRef<OsStr>, value: &[u8]) -> Result<()> {
        let path = descriptor_path(self.as_fd());
        rustix::fs::setxattr(&path, attribute.as_ref(), value, XattrFlags::empty())
            .map_err(|errno| self.system(Operation::SetAttribute, OsStr::new(""), errno))
    }

    /// The path of an entry through this handle: the kernel follows the handle, and not the entry.
    fn entry_path(&self, name: &OsStr) -> Vec<u8> {
        let mut path = descriptor_path(self.as_fd()).into_bytes();
        path.push(b'/');
        path.extend_from_slice(name.as_bytes());
        path
    }
}

fn split(names: &[u8]) -> Vec<OsString> {
    let names = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let mut names: Vec<_> = names.map(|name| OsString::from_vec(name.to_vec())).collect();
    names.sort_unstable();
    names
}
