//! One directory handle, and what is done to the files right below it.
//!
//! Names have no slashes: they are fixed, or made of a validated digest. So not following the last
//! part of a path is all it takes to stay in the directory.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cask_files::fault::step;
use cask_files::{Held, LockKind, Locked, describe, is_same, try_lock};
use cask_transport::{Error, ErrorKind, Result};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

/// How long to wait for a lock that is held for moments only.
const LOCK_PATIENCE: Duration = Duration::from_secs(60);

/// A directory that stays the same one, whatever happens to its path.
#[derive(Debug)]
pub(crate) struct Directory {
    fd: OwnedFd,
    /// For messages only.
    path: PathBuf,
}

/// A lock on the directory, held until it is dropped.
pub(crate) type Lock = Held<OwnedFd>;

impl Directory {
    /// Opens the directory at a path that the user gave; links in it are the user's own.
    pub(crate) fn open(path: &Path) -> rustix::io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Opens a directory right below, which messages know by `path`.
    pub(crate) fn subdirectory(&self, name: &str, path: PathBuf) -> rustix::io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty())?;
        Ok(Self { fd, path })
    }

    /// Makes a directory right below.
    pub(crate) fn create_subdirectory(&self, name: &str) -> io::Result<()> {
        step()?;
        Ok(rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o755))?)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// An error about a file below.
    pub(crate) fn fail(
        &self,
        operation: &'static str,
        name: &str,
        error: impl Into<io::Error>,
    ) -> Error {
        Error::from_io(error.into(), operation, self.path.join(name).display())
    }

    /// Looks at a file below without following links; `None` if there is none.
    pub(crate) fn stat(&self, name: &str) -> Result<Option<Stat>> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.fail("opening", name, error)),
        }
    }

    /// Opens a regular file below for reading; `None` if there is none.
    ///
    /// Anything else is refused without being opened: opening a device can do something, opening
    /// a fifo can wait for ever.
    ///
    /// # Errors
    /// `Corrupt` if it is something else: a link, a directory, a device.
    pub(crate) fn file(&self, name: &str) -> Result<Option<File>> {
        let Some(found) = self.stat(name)? else { return Ok(None) };
        self.expect_regular(name, &found)?;
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(self.fail("opening", name, error)),
        };
        // It may be another one by now.
        let opened = rustix::fs::fstat(&file).map_err(|error| self.fail("opening", name, error))?;
        self.expect_regular(name, &opened)?;
        Ok(Some(file))
    }

    fn expect_regular(&self, name: &str, found: &Stat) -> Result<()> {
        let kind = FileType::from_raw_mode(found.st_mode);
        if kind == FileType::RegularFile {
            return Ok(());
        }
        let what = describe(kind);
        Err(Error::new(ErrorKind::Corrupt, "opening", self.path.join(name).display())
            .with_detail(format!("it is {what}, and a regular file is expected"))
            .with_hint("an image in a directory holds its own files; put the content itself there"))
    }

    /// Reads a small file below; `None` if there is none.
    ///
    /// # Errors
    /// As [`file`](Self::file); `LimitExceeded` if it is larger.
    pub(crate) fn read(&self, name: &str, limit_bytes: u64) -> Result<Option<Vec<u8>>> {
        match self.file(name)? {
            Some(file) => self.read_opened(&file, name, limit_bytes).map(Some),
            None => Ok(None),
        }
    }

    /// Reads a small file that was opened already.
    pub(crate) fn read_opened(&self, file: &File, name: &str, limit_bytes: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        file.take(limit_bytes + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| self.fail("reading", name, error))?;
        if bytes.len() as u64 > limit_bytes {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                "reading",
                self.path.join(name).display(),
            )
            .with_detail(format!("exceeded maximum allowed size of {limit_bytes} bytes")));
        }
        Ok(bytes)
    }

    /// The names below, without `.` and `..`. What is no UTF-8 in them is replaced, which gives
    /// names that no image has.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let fail = |error: Errno| Error::from_io(error.into(), "listing", self.path.display());
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_string_lossy();
            if !matches!(&*name, "." | "..") {
                names.push(name.into_owned());
            }
        }
        Ok(names)
    }

    /// Creates a file below for writing and reading; it must not exist.
    pub(crate) fn create(&self, name: &str) -> io::Result<File> {
        step()?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o644))?.into())
    }

    /// Gives something below another name, here or in another directory.
    pub(crate) fn rename(&self, from: &str, to_directory: &Self, to: &str) -> io::Result<()> {
        step()?;
        Ok(rustix::fs::renameat(&self.fd, from, &to_directory.fd, to)?)
    }

    /// Gives a file below another name in another directory, and leaves it the one it has.
    pub(crate) fn link(&self, name: &str, to_directory: &Self) -> io::Result<()> {
        step()?;
        Ok(rustix::fs::linkat(&self.fd, name, &to_directory.fd, name, AtFlags::empty())?)
    }

    /// Removes a file or a link below, if it is there.
    pub(crate) fn unlink(&self, name: &str) -> io::Result<()> {
        self.remove(name, AtFlags::empty())
    }

    /// Removes an empty directory below, if it is there.
    pub(crate) fn remove_subdirectory(&self, name: &str) -> io::Result<()> {
        self.remove(name, AtFlags::REMOVEDIR)
    }

    fn remove(&self, name: &str, flags: AtFlags) -> io::Result<()> {
        step()?;
        match rustix::fs::unlinkat(&self.fd, name, flags) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until the content of a file below is on the disk.
    pub(crate) fn sync_file(&self, name: &str) -> Result<()> {
        let fail = |error| self.fail("synchronising", name, error);
        step().map_err(fail)?;
        match self.file(name)? {
            Some(file) => file.sync_data().map_err(fail),
            None => Ok(()),
        }
    }

    /// Waits until the names in the directory are on the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        let fail = |error| Error::from_io(error, "synchronising", self.path.display());
        step().map_err(fail)?;
        rustix::fs::fsync(&self.fd).map_err(|error| fail(error.into()))
    }

    /// Whether a file below still is the one that was opened.
    pub(crate) fn is_still(&self, name: &str, opened: impl AsFd) -> bool {
        let own = rustix::fs::fstat(opened).ok();
        let found = self.stat(name).ok().flatten();
        own.zip(found).is_some_and(|(own, found)| is_same(&own, &found))
    }

    /// Whether a path leads to this directory.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        let own = rustix::fs::fstat(&self.fd).ok();
        let found = rustix::fs::stat(path).ok();
        own.zip(found).is_some_and(|(own, found)| is_same(&own, &found))
    }

    /// Whether the directory belongs to who we are.
    pub(crate) fn is_own(&self) -> bool {
        rustix::fs::fstat(&self.fd)
            .is_ok_and(|own| own.st_uid == rustix::process::geteuid().as_raw())
    }

    /// Locks the directory, so that only one at a time replaces what is in it. `None` where the
    /// file system has no locks.
    ///
    /// # Errors
    /// `Io` if somebody holds the lock for a minute.
    pub(crate) fn lock(&self) -> Result<Option<Lock>> {
        let fail = |error: Errno| Error::from_io(error.into(), "locking", self.path.display());
        // A lock belongs to an opening, and ends with it.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let own = rustix::fs::openat(&self.fd, ".", flags, Mode::empty()).map_err(fail)?;
        let start = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            match try_lock(&own, LockKind::Exclusive) {
                Locked::Yes => return Ok(Some(Held::new(own))),
                Locked::Unsupported => return Ok(None),
                Locked::No if start.elapsed() < LOCK_PATIENCE => {}
                Locked::No => {
                    return Err(Error::new(ErrorKind::Io, "locking", self.path.display())
                        .with_detail(format!(
                            "another program has held the lock for {} seconds",
                            LOCK_PATIENCE.as_secs()
                        ))
                        .with_hint("try again when it is done"));
                }
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
