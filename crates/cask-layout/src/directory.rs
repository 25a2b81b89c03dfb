//! One directory handle, and everything that is done below it.
//!
//! Names are fixed, or made of a validated digest; and still nothing is opened through a symbolic
//! link or outside of the handle, because a layout may come from anywhere.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use cask_files::fault::step;
use cask_files::{describe, is_same, open_beneath};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::{Error, ErrorKind, Result};

/// A directory that stays the same one, whatever happens to its path.
#[derive(Debug)]
pub(crate) struct Directory {
    fd: OwnedFd,
    /// For messages only.
    path: PathBuf,
}

impl Directory {
    /// Opens the directory at a path that the user gave; links in it are the user's own.
    /// `None` if nothing is there.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd, path: path.to_owned() })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(Error::io(error, "opening", path.display())),
        }
    }

    /// A directory that is open already. The path is for messages.
    pub(crate) fn of_handle(fd: OwnedFd, path: PathBuf) -> Self {
        Self { fd, path }
    }

    /// Makes the directory at a path that the user gave, whose parent must exist. `true` if it
    /// did not exist.
    pub(crate) fn create(path: &Path) -> Result<bool> {
        let fail = |error| {
            let failed = Error::io(error, "creating", path.display());
            match failed.kind() {
                ErrorKind::NotFound => failed.with_hint("the parent directory must exist"),
                _ => failed,
            }
        };
        step().map_err(fail)?;
        match rustix::fs::mkdir(path, Mode::from_raw_mode(0o755)) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(fail(error.into())),
        }
    }

    /// The path of something below, for messages.
    pub(crate) fn describe(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a directory below; `None` if nothing is there.
    pub(crate) fn subdirectory(&self, name: &str) -> Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match open_beneath(self.as_fd(), name, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd, path: self.path.join(name) })),
            Err(Errno::NOENT) => Ok(None),
            Err(error @ (Errno::LOOP | Errno::NOTDIR)) => Err(self.not_what_it_should_be(
                name,
                if error == Errno::LOOP { "a symbolic link" } else { "not a directory" },
                "a directory",
            )),
            Err(error) => Err(Error::io(error, "opening", self.describe(name))),
        }
    }

    /// Makes a directory below unless it exists. `true` if it did not.
    pub(crate) fn create_subdirectory(&self, name: &str) -> Result<bool> {
        let fail = |error| Error::io(error, "creating", self.describe(name));
        step().map_err(fail)?;
        match rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(fail(error.into())),
        }
    }

    /// Opens the same directory again: locks belong to an opening, not to a directory.
    pub(crate) fn reopen(&self) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.fd, ".", flags, Mode::empty()) {
            Ok(fd) => Ok(Self { fd, path: self.path.clone() }),
            Err(error) => Err(Error::io(error, "opening", self.path.display())),
        }
    }

    /// Opens a regular file for reading; `None` if nothing is there.
    ///
    /// Anything else is refused without being opened: opening a device can do something, opening
    /// a fifo can wait for ever.
    pub(crate) fn regular_file(&self, name: &str) -> Result<Option<(File, Stat)>> {
        let fail = |error: Errno| Error::io(error, "opening", self.describe(name));
        let probe = OFlags::PATH | OFlags::CLOEXEC;
        let read = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let mut opened = None;
        for flags in [probe, read] {
            let fd = match open_beneath(self.as_fd(), name, flags, Mode::empty()) {
                Ok(fd) => fd,
                Err(Errno::NOENT) => return Ok(None),
                Err(Errno::LOOP) => {
                    return Err(self.not_what_it_should_be(
                        name,
                        "a symbolic link",
                        "a regular file",
                    ));
                }
                Err(error) => return Err(fail(error)),
            };
            let stat = rustix::fs::fstat(&fd).map_err(fail)?;
            let kind = FileType::from_raw_mode(stat.st_mode);
            if kind != FileType::RegularFile {
                return Err(self.not_what_it_should_be(name, describe(kind), "a regular file"));
            }
            opened = Some((File::from(fd), stat));
        }
        Ok(opened)
    }

    fn not_what_it_should_be(&self, name: &str, found: &str, expected: &str) -> Error {
        Error::new(ErrorKind::Unsafe, "opening", self.describe(name))
            .with_detail(format!("it is {found}, and {expected} is expected"))
            .with_hint("a layout holds its own files; put the content itself there")
    }

    /// Looks at something below without following links; `None` if nothing is there.
    pub(crate) fn stat(&self, name: &str) -> Result<Option<Stat>> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(Error::io(error, "looking at", self.describe(name))),
        }
    }

    /// Whether the directory still is what `name` in `parent` names.
    pub(crate) fn is_still(&self, parent: &Self, name: &str) -> Result<bool> {
        let own = rustix::fs::fstat(&self.fd)
            .map_err(|error| Error::io(error, "looking at", self.path.display()))?;
        Ok(parent.stat(name)?.is_some_and(|found| is_same(&found, &own)))
    }

    /// Whether the directory was removed.
    pub(crate) fn is_removed(&self) -> Result<bool> {
        let stat = rustix::fs::fstat(&self.fd)
            .map_err(|error| Error::io(error, "looking at", self.path.display()))?;
        Ok(stat.st_nlink == 0)
    }

    /// The names below, without `.` and `..`; those that are no UTF-8 are left out.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let fail = |error: Errno| Error::io(error, "listing", self.path.display());
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(fail)? {
            if let Ok(name) = entry.map_err(fail)?.file_name().to_str()
                && !matches!(name, "." | "..")
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Gives a file below another name; what has that name is replaced.
    pub(crate) fn rename(&self, from: &str, to_directory: &Self, to: &str) -> Result<()> {
        let fail = |error| Error::io(error, "replacing", to_directory.describe(to));
        step().map_err(fail)?;
        rustix::fs::renameat(&self.fd, from, &to_directory.fd, to).map_err(|e| fail(e.into()))
    }

    /// Removes a file or a link below. `false` if there was nothing.
    pub(crate) fn unlink(&self, name: &str) -> Result<bool> {
        self.remove(name, AtFlags::empty())
    }

    /// Removes an empty directory below. `false` if there was none, or it is not empty.
    pub(crate) fn remove_directory(&self, name: &str) -> Result<bool> {
        self.remove(name, AtFlags::REMOVEDIR)
    }

    fn remove(&self, name: &str, flags: AtFlags) -> Result<bool> {
        let fail = |error| Error::io(error, "removing", self.describe(name));
        step().map_err(fail)?;
        match rustix::fs::unlinkat(&self.fd, name, flags) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
            Err(error) => Err(fail(error.into())),
        }
    }

    /// Writes the names in the directory to the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        let fail = |error| Error::io(error, "synchronising", self.path.display());
        step().map_err(fail)?;
        rustix::fs::fsync(&self.fd).map_err(|error| fail(error.into()))
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Turns an error of the system into one of the standard library.
pub(crate) fn os(error: Errno) -> io::Error {
    error.into()
}
