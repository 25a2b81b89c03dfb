//! The root, and how paths resolve below it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::directory::{descriptor_path, is_name, owner, permissions};
use crate::{Directory, Error, ErrorKind, Metadata, Operation, Result};

/// How often a walk is tried again that was disturbed by renames elsewhere.
const ATTEMPTS: usize = 1000;

/// One root filesystem: an open directory that nothing below leaves.
///
/// A path is relative to the root, with or without a leading `/`; `..` stops there.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    name: Arc<Path>,
}

impl Root {
    /// Opens a directory of the host as a root. Symbolic links in `path` are followed: it is trusted.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], [`ErrorKind::NotADirectory`], [`ErrorKind::Denied`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => Ok(Self { fd, name: path.into() }),
            Err(errno) => Err(Error::system(Operation::OpenRoot, path, PathBuf::new(), errno)),
        }
    }

    /// Takes an open directory as a root; `name` is for messages.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotADirectory`] where it is something else.
    pub fn from_fd(fd: OwnedFd, name: impl Into<PathBuf>) -> Result<Self> {
        let name: Arc<Path> = name.into().into();
        let stat = rustix::fs::fstat(&fd)
            .map_err(|errno| Error::system(Operation::OpenRoot, &name, PathBuf::new(), errno))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return Err(Error::plain(ErrorKind::NotADirectory, Operation::OpenRoot, &name, ""));
        }
        Ok(Self { fd, name })
    }

    /// What the root is called in messages: the path by which it was opened.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Opens a directory, following links inside the root.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], [`ErrorKind::NotADirectory`], [`ErrorKind::LinkLoop`].
    pub fn directory(&self, path: impl AsRef<OsStr>) -> Result<Directory> {
        let path = path.as_ref();
        match self.resolve(path, OFlags::PATH | OFlags::DIRECTORY) {
            Ok(fd) => Ok(Directory::new(fd, self.name.clone(), shown(path))),
            Err(errno) => Err(self.system(Operation::Resolve, path, errno)),
        }
    }

    /// Opens the directory of an entry, and tells the entry's name in it.
    ///
    /// Links on the way are followed inside the root; the last component is not, and need not exist.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidName`] for a path without a last name: the root itself, and what ends in
    /// `.` or `..`. Otherwise as [`directory`](Self::directory).
    pub fn entry<'p>(
        &self,
        path: &'p (impl AsRef<OsStr> + ?Sized),
    ) -> Result<(Directory, &'p OsStr)> {
        let path = path.as_ref();
        let Some((parent, name)) = split(path) else {
            return Err(Error::plain(
                ErrorKind::InvalidName,
                Operation::Resolve,
                &self.name,
                shown(path),
            ));
        };
        Ok((self.directory(parent)?, name))
    }

    /// Opens a directory, and creates what is missing of it and on the way to it.
    ///
    /// What is created has the permissions `mode` less the umask, and belongs to `owner` (user and
    /// group) where that is given. What exists is left as it is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotADirectory`] where something else is in the way; `NotFound` where a symbolic
    /// link on the way leads nowhere.
    pub fn create_dir_all(
        &self,
        path: impl AsRef<OsStr>,
        mode: u32,
        owner: Option<(u32, u32)>,
    ) -> Result<Directory> {
        let path = path.as_ref();
        match self.directory(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            other => return other,
        }
        // The ends of the path's components, so that each prefix resolves as the kernel sees it.
        let bytes = path.as_bytes();
        let mut here = self.directory("")?;
        let mut start = 0;
        while start < bytes.len() {
            let end =
                bytes[start..].iter().position(|b| *b == b'/').map_or(bytes.len(), |n| start + n);
            let (name, prefix) = (&bytes[start..end], &bytes[..end]);
            start = end + 1;
            if name.is_empty() || name == b"." {
                continue;
            }
            let prefix = OsStr::from_bytes(prefix);
            here = match self.directory(prefix) {
                Err(error) if error.kind() == ErrorKind::NotFound && name != b".." => {
                    self.create_missing(&here, OsStr::from_bytes(name), mode, owner)?;
                    self.directory(prefix)?
                }
                other => other?,
            };
        }
        Ok(here)
    }

    fn create_missing(
        &self,
        parent: &Directory,
        name: &OsStr,
        mode: u32,
        new_owner: Option<(u32, u32)>,
    ) -> Result<()> {
        match parent.create_dir(name, mode) {
            Err(error) if error.kind() == ErrorKind::Exists => return Ok(()),
            other => other?,
        }
        let Some((uid, gid)) = new_owner else { return Ok(()) };
        let made = parent.metadata(name)?;
        if (made.uid, made.gid) != (uid, gid) {
            parent.set_owner(name, uid, gid)?;
            if made.mode & 0o6000 != 0 {
                parent.set_mode(name, made.mode)?;
            }
        }
        Ok(())
    }

    /// Describes an entry; a symbolic link at the end is described itself.
    ///
    /// # Errors
    ///
    /// As [`directory`](Self::directory).
    pub fn metadata(&self, path: impl AsRef<OsStr>) -> Result<Metadata> {
        let path = path.as_ref();
        match split(path) {
            Some((parent, name)) => self.directory(parent)?.metadata(name),
            None => self.directory(path)?.own_metadata(),
        }
    }

    /// Describes what a path leads to, also through a symbolic link at its end.
    ///
    /// # Errors
    ///
    /// As [`directory`](Self::directory).
    pub fn metadata_following(&self, path: impl AsRef<OsStr>) -> Result<Metadata> {
        let path = path.as_ref();
        let failed = |errno| self.system(Operation::ReadMetadata, path, errno);
        let fd = self.resolve(path, OFlags::PATH).map_err(failed)?;
        Ok(Metadata::of(&rustix::fs::fstat(fd).map_err(failed)?))
    }

    /// Opens a regular file for reading; a symbolic link at the end is not followed.
    ///
    /// # Errors
    ///
    /// As [`Directory::open_file`] and [`directory`](Self::directory).
    pub fn open_file(&self, path: impl AsRef<OsStr>) -> Result<File> {
        let (directory, name) = self.entry(&path)?;
        directory.open_file(name)
    }

    /// Opens a regular file for reading, also through a symbolic link at the end of the path, which
    /// stays in the root.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotAFile`] where it leads to something else; needs `/proc`.
    pub fn open_file_following(&self, path: impl AsRef<OsStr>) -> Result<File> {
        let path = path.as_ref();
        let failed = |errno| self.system(Operation::OpenFile, path, errno);
        // A handle that reads nothing first: what it is a handle of cannot change any more.
        let handle = self.resolve(path, OFlags::PATH).map_err(failed)?;
        let stat = rustix::fs::fstat(&handle).map_err(failed)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            let kind = ErrorKind::NotAFile;
            return Err(Error::plain(kind, Operation::OpenFile, &self.name, shown(path)));
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        rustix::fs::open(descriptor_path(handle.as_fd()), flags, Mode::empty())
            .map(File::from)
            .map_err(failed)
    }

    /// Removes an entry and, if it is a directory, everything in it; a missing one is no error.
    ///
    /// # Errors
    ///
    /// As [`Directory::remove_all`] and [`entry`](Self::entry).
    pub fn remove_all(&self, path: impl AsRef<OsStr>) -> Result<()> {
        let found = match self.entry(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        found.0.remove_all(found.1)
    }

    /// Changes owner and permissions of the root directory itself.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Denied`]; needs `/proc`.
    pub fn set_own_owner_and_mode(&self, uid: u32, gid: u32, mode: u32) -> Result<()> {
        let path = descriptor_path(self.fd.as_fd());
        let (uid, gid) = owner(uid, gid);
        rustix::fs::chown(&path, uid, gid)
            .map_err(|errno| self.system(Operation::SetOwner, OsStr::new(""), errno))?;
        rustix::fs::chmod(&path, permissions(mode))
            .map_err(|errno| self.system(Operation::SetMode, OsStr::new(""), errno))
    }

    /// Makes a second handle to the same root.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] where the process has too many open files.
    pub fn try_clone(&self) -> Result<Self> {
        match self.fd.try_clone() {
            Ok(fd) => Ok(Self { fd, name: self.name.clone() }),
            Err(error) => {
                let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
                Err(self.system(Operation::OpenRoot, OsStr::new(""), errno))
            }
        }
    }

    fn resolve(&self, path: &OsStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { OsStr::new(".") } else { path };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::CLOEXEC;
        let mut last = Errno::AGAIN;
        for _ in 0..ATTEMPTS {
            match rustix::fs::openat2(&self.fd, path, flags, Mode::empty(), resolve) {
                // The kernel could not prove that a `..` stayed inside: something was renamed.
                Err(errno @ (Errno::AGAIN | Errno::INTR)) => last = errno,
                other => return other,
            }
        }
        Err(last)
    }

    fn system(&self, operation: Operation, path: &OsStr, errno: Errno) -> Error {
        Error::system(operation, &self.name, shown(path), errno)
    }
}

impl AsFd for Root {
    /// The handle: good for `*at` calls and as the place of a mount.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Splits a path before its last name; `None` where it has none.
pub(crate) fn split(path: &OsStr) -> Option<(&OsStr, &OsStr)> {
    let bytes = path.as_bytes();
    let end = bytes.iter().rposition(|byte| *byte != b'/')? + 1;
    let start = bytes[..end].iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let name = OsStr::from_bytes(&bytes[start..end]);
    // Without a name a path may still be a directory's: only its kernel knows where `..` leads.
    is_name(name).then(|| (OsStr::from_bytes(&bytes[..start]), name))
}

/// A path as messages show it: below the root, hence without a leading slash.
fn shown(path: &OsStr) -> PathBuf {
    let bytes = path.as_bytes();
    let start = bytes.iter().position(|byte| *byte != b'/').unwrap_or(bytes.len());
    PathBuf::from(OsString::from(OsStr::from_bytes(&bytes[start..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_split_before_their_last_name() {
        let check = |path: &str, expected: Option<(&str, &str)>| {
            let expected = expected.map(|(parent, name)| (OsStr::new(parent), OsStr::new(name)));
            assert_eq!(split(OsStr::new(path)), expected, "{path:?}");
        };
        check("a", Some(("", "a")));
        check("/a", Some(("/", "a")));
        check("a/b", Some(("a/", "b")));
        check("a//b//", Some(("a//", "b")));
        check("a/../b", Some(("a/../", "b")));
        check("...", Some(("", "...")));
        for without in ["", "/", ".", "..", "a/.", "a/..", "a/../", "a\0"] {
            check(without, None);
        }
    }
}
