//! An open directory, and what can be done to the entries in it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, Timespec, Timestamps};
use rustix::io::Errno;

use crate::{Error, ErrorKind, Metadata, Operation, Result, Timestamp};

/// An open directory below a [`Root`](crate::Root), or the root itself.
///
/// Every method takes the *name* of an entry: one component, which is never followed. A text that is
/// no such name (empty, `.`, `..`, with a `/` or NUL) is [`ErrorKind::InvalidName`].
///
/// The handle stays with its directory when that is renamed; a removed one has no entries and takes
/// none.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    root: Arc<Path>,
    path: PathBuf,
}

/// What [`Directory::create_node`] creates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Node {
    /// A named pipe.
    Fifo,
    /// A character device.
    CharDevice {
        /// Its major number.
        major: u32,
        /// Its minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Its major number.
        major: u32,
        /// Its minor number.
        minor: u32,
    },
}

impl Directory {
    pub(crate) fn new(fd: OwnedFd, root: Arc<Path>, path: PathBuf) -> Self {
        Self { fd, root, path }
    }

    /// The path by which it was reached, in the root; empty for the root itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Describes the directory itself.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`].
    pub fn own_metadata(&self) -> Result<Metadata> {
        match rustix::fs::fstat(&self.fd) {
            Ok(stat) => Ok(Metadata::of(&stat)),
            Err(errno) => Err(self.system(Operation::ReadMetadata, OsStr::new(""), errno)),
        }
    }

    /// Describes an entry.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`].
    pub fn metadata(&self, name: impl AsRef<OsStr>) -> Result<Metadata> {
        let name = self.checked(Operation::ReadMetadata, name.as_ref())?;
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Metadata::of(&stat)),
            Err(errno) => Err(self.system(Operation::ReadMetadata, name, errno)),
        }
    }

    /// Opens a regular file for reading, without waiting and without touching anything else.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotAFile`] for everything else, a symbolic link included; `NotFound`; `Denied`.
    pub fn open_file(&self, name: impl AsRef<OsStr>) -> Result<File> {
        let name = self.checked(Operation::OpenFile, name.as_ref())?;
        let failed = |errno| self.system(Operation::OpenFile, name, errno);
        let refused = || {
            let path = self.path.join(name);
            Error::plain(ErrorKind::NotAFile, Operation::OpenFile, &self.root, path)
        };
        // Opening a device acts on it. Who swaps one in after this look is answered below.
        let stat = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(refused());
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY;
        let fd = rustix::fs::openat(&self.fd, name, flags | OFlags::CLOEXEC, Mode::empty())
            .map_err(failed)?;
        let stat = rustix::fs::fstat(&fd).map_err(failed)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(refused());
        }
        Ok(File::from(fd))
    }

    /// Creates a file for writing and reading, with the permissions `mode` less the umask.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Exists`] where the name is taken, by whatever.
    pub fn create_file(&self, name: impl AsRef<OsStr>, mode: u32) -> Result<File> {
        let name = self.checked(Operation::CreateFile, name.as_ref())?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        match rustix::fs::openat(&self.fd, name, flags | OFlags::CLOEXEC, permissions(mode)) {
            Ok(fd) => Ok(File::from(fd)),
            Err(errno) => Err(self.system(Operation::CreateFile, name, errno)),
        }
    }

    /// Creates a file as [`create_file`](Self::create_file) does, after removing what has the name.
    ///
    /// Other names of a file that is replaced keep the old content. For a moment there is neither.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotAFile`] where the name is a directory's: that is not replaced. `Exists` where
    /// another process keeps creating it.
    pub fn replace_file(&self, name: impl AsRef<OsStr>, mode: u32) -> Result<File> {
        let name = name.as_ref();
        for _ in 0..8 {
            match self.create_file(name, mode) {
                Err(error) if error.kind() == ErrorKind::Exists => {}
                other => return other,
            }
            match self.remove_file(name) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.create_file(name, mode)
    }

    /// Creates a directory, with the permissions `mode` less the umask.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Exists`] where the name is taken, also by a directory.
    pub fn create_dir(&self, name: impl AsRef<OsStr>, mode: u32) -> Result<()> {
        let name = self.checked(Operation::CreateDirectory, name.as_ref())?;
        rustix::fs::mkdirat(&self.fd, name, permissions(mode))
            .map_err(|errno| self.system(Operation::CreateDirectory, name, errno))
    }

    /// Opens a directory in this one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotADirectory`] for everything else, also a symbolic link to a directory.
    pub fn open_dir(&self, name: impl AsRef<OsStr>) -> Result<Self> {
        let name = self.checked(Operation::Resolve, name.as_ref())?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Self::new(fd, self.root.clone(), self.path.join(name))),
            Err(errno) => Err(self.system(Operation::Resolve, name, errno)),
        }
    }

    /// Creates a symbolic link; `target` is kept as it is and not looked at.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Exists`] where the name is taken; `InvalidName` for a target with a NUL byte;
    /// `NotFound` for an empty one.
    pub fn symlink(&self, name: impl AsRef<OsStr>, target: impl AsRef<OsStr>) -> Result<()> {
        let name = self.checked(Operation::CreateSymlink, name.as_ref())?;
        let target = target.as_ref();
        if target.as_bytes().contains(&0) {
            let path = self.path.join(name);
            let kind = ErrorKind::InvalidName;
            return Err(Error::plain(kind, Operation::CreateSymlink, &self.root, path));
        }
        rustix::fs::symlinkat(target, &self.fd, name)
            .map_err(|errno| self.system(Operation::CreateSymlink, name, errno))
    }

    /// Gives the entry `source_name` of `source` another name, here. A symbolic link is linked itself.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Exists`] where the name is taken; `NotFound` without the source; `Denied` for a
    /// directory; `Busy` on another file system.
    pub fn hard_link(
        &self,
        name: impl AsRef<OsStr>,
        source: &Self,
        source_name: impl AsRef<OsStr>,
    ) -> Result<()> {
        let name = self.checked(Operation::CreateHardLink, name.as_ref())?;
        let source_name = source.checked(Operation::CreateHardLink, source_name.as_ref())?;
        rustix::fs::linkat(&source.fd, source_name, &self.fd, name, AtFlags::empty())
            .map_err(|errno| self.system(Operation::CreateHardLink, name, errno))
    }

    /// Creates a device or a FIFO, with the permissions `mode` less the umask.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Denied`] for devices in a user namespace (but for the character device 0:0);
    /// `Exists` where the name is taken; `Io` (invalid argument) for a major number of 4096 or a minor
    /// number of 1048576 and more, which the kernel does not have.
    pub fn create_node(&self, name: impl AsRef<OsStr>, node: Node, mode: u32) -> Result<()> {
        let name = self.checked(Operation::CreateNode, name.as_ref())?;
        let (kind, major, minor) = match node {
            Node::Fifo => (FileType::Fifo, 0, 0),
            Node::CharDevice { major, minor } => (FileType::CharacterDevice, major, minor),
            Node::BlockDevice { major, minor } => (FileType::BlockDevice, major, minor),
        };
        // The kernel would cut larger numbers, and make another device.
        if major >= 1 << 12 || minor >= 1 << 20 {
            return Err(self.system(Operation::CreateNode, name, Errno::INVAL));
        }
        let device = rustix::fs::makedev(major, minor);
        rustix::fs::mknodat(&self.fd, name, kind, permissions(mode), device)
            .map_err(|errno| self.system(Operation::CreateNode, name, errno))
    }

    /// Reads where a symbolic link points.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] (invalid argument) where the entry is no symbolic link.
    pub fn read_link(&self, name: impl AsRef<OsStr>) -> Result<OsString> {
        let name = self.checked(Operation::ReadLink, name.as_ref())?;
        match rustix::fs::readlinkat(&self.fd, name, Vec::new()) {
            Ok(target) => Ok(OsString::from_vec(target.into_bytes())),
            Err(errno) => Err(self.system(Operation::ReadLink, name, errno)),
        }
    }

    /// Removes an entry that is no directory.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotAFile`] for a directory; `NotFound`.
    pub fn remove_file(&self, name: impl AsRef<OsStr>) -> Result<()> {
        let name = self.checked(Operation::Remove, name.as_ref())?;
        rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())
            .map_err(|errno| self.system(Operation::Remove, name, errno))
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotEmpty`]; `NotADirectory`; `NotFound`; `Busy` for a mount point.
    pub fn remove_dir(&self, name: impl AsRef<OsStr>) -> Result<()> {
        let name = self.checked(Operation::Remove, name.as_ref())?;
        rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR)
            .map_err(|errno| self.system(Operation::Remove, name, errno))
    }

    /// Gives an entry another name, perhaps in another directory, where the new name is free.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Exists`] where it is not; `NotFound`; `Busy` on another file system.
    pub fn rename(
        &self,
        name: impl AsRef<OsStr>,
        to: &Self,
        to_name: impl AsRef<OsStr>,
    ) -> Result<()> {
        let name = self.checked(Operation::Rename, name.as_ref())?;
        let to_name = to.checked(Operation::Rename, to_name.as_ref())?;
        rustix::fs::renameat_with(&self.fd, name, &to.fd, to_name, RenameFlags::NOREPLACE)
            .map_err(|errno| self.system(Operation::Rename, name, errno))
    }

    /// Changes owner and group, of a symbolic link itself.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Denied`] without the privilege; `Io` (invalid argument) for a number that the user
    /// namespace does not have.
    pub fn set_owner(&self, name: impl AsRef<OsStr>, uid: u32, gid: u32) -> Result<()> {
        let name = self.checked(Operation::SetOwner, name.as_ref())?;
        let (uid, gid) = owner(uid, gid);
        rustix::fs::chownat(&self.fd, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| self.system(Operation::SetOwner, name, errno))
    }

    /// Changes the permissions: twelve bits, whatever the umask.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] for a symbolic link, which has none; `Denied`.
    pub fn set_mode(&self, name: impl AsRef<OsStr>, mode: u32) -> Result<()> {
        let name = self.checked(Operation::SetMode, name.as_ref())?;
        let failed = |errno| self.system(Operation::SetMode, name, errno);
        // Only the newest kernels can do this by name without following.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty()).map_err(failed)?;
        rustix::fs::chmod(descriptor_path(fd.as_fd()), permissions(mode)).map_err(failed)
    }

    /// Changes the times of access and modification, of a symbolic link itself.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Denied`]; `NotFound`.
    pub fn set_times(
        &self,
        name: impl AsRef<OsStr>,
        accessed: Timestamp,
        modified: Timestamp,
    ) -> Result<()> {
        let name = self.checked(Operation::SetTimes, name.as_ref())?;
        let times =
            Timestamps { last_access: timespec(accessed), last_modification: timespec(modified) };
        rustix::fs::utimensat(&self.fd, name, &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| self.system(Operation::SetTimes, name, errno))
    }

    /// Makes a second handle.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] where the process has too many open files.
    pub fn try_clone(&self) -> Result<Self> {
        match self.fd.try_clone() {
            Ok(fd) => Ok(Self::new(fd, self.root.clone(), self.path.clone())),
            Err(error) => {
                let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
                Err(self.system(Operation::Resolve, OsStr::new(""), errno))
            }
        }
    }

    pub(crate) fn checked<'n>(&self, operation: Operation, name: &'n OsStr) -> Result<&'n OsStr> {
        if is_name(name) {
            return Ok(name);
        }
        let path = self.path.join(name);
        Err(Error::plain(ErrorKind::InvalidName, operation, &self.root, path))
    }

    pub(crate) fn system(&self, operation: Operation, name: &OsStr, errno: Errno) -> Error {
        let path = if name.is_empty() { self.path.clone() } else { self.path.join(name) };
        Error::system(operation, &self.root, path, errno)
    }
}

impl AsFd for Directory {
    /// The handle, opened with `O_PATH`: good for `*at` calls and as the place of a mount.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Whether a text names one entry of a directory.
pub(crate) fn is_name(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    !matches!(bytes, b"" | b"." | b"..") && !bytes.iter().any(|byte| matches!(byte, b'/' | 0))
}

pub(crate) fn permissions(mode: u32) -> Mode {
    Mode::from_raw_mode(mode & 0o7777)
}

pub(crate) fn owner(uid: u32, gid: u32) -> (Option<rustix::fs::Uid>, Option<rustix::fs::Gid>) {
    // The number -1 means "leave it", and is nobody's.
    (
        (uid != u32::MAX).then(|| rustix::fs::Uid::from_raw(uid)),
        (gid != u32::MAX).then(|| rustix::fs::Gid::from_raw(gid)),
    )
}

/// The path that names an open file, whatever happened to its name since.
pub(crate) fn descriptor_path(fd: BorrowedFd<'_>) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

fn timespec(time: Timestamp) -> Timespec {
    Timespec { tv_sec: time.seconds, tv_nsec: time.nanoseconds.min(999_999_999).into() }
}
