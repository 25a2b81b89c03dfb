//! Files that have no name yet, or a name that nobody takes for content.
//!
//! Where the file system can (`O_TMPFILE`), a file gets no name before it is complete: a writer
//! that dies leaves nothing. Elsewhere it gets a name with a prefix of ours, and its writer holds
//! a lock on it; what is not locked is litter of the dead, and is swept.

use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;

use cask_files::fault::step;
use cask_files::{LockKind, Locked, is_same, lock_now, try_lock, unlock};
use rustix::fs::{Advice, AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::directory::{Directory, os};
use crate::{Error, Result, nameless};

/// With what the names of unfinished files begin.
pub(crate) const PREFIX: &str = ".cask-unfinished-";

/// After how many bytes the disk is told to begin: 8 MiB.
const WRITE_BACK_BYTES: u64 = 8 << 20;

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct TempFile {
    file: File,
    /// Where it has its unfinished name, or gets one if it needs to.
    home: Arc<Directory>,
    /// Its unfinished name; `None` if it has no name at all.
    name: Option<String>,
    written_bytes: u64,
    /// How much of it the disk was told to write.
    written_back_bytes: u64,
    early_write_back: bool,
}

impl TempFile {
    /// Makes an empty file, which has a name only where the file system cannot do without.
    pub(crate) fn create(home: &Arc<Directory>) -> Result<Self> {
        match create_nameless(home)? {
            Some(file) => Ok(Self::new(home, file, None)),
            None => Self::create_named(home),
        }
    }

    /// Makes an empty file that has a name: one that will replace another.
    pub(crate) fn create_named(home: &Arc<Directory>) -> Result<Self> {
        let (file, name) = create_named(home)?;
        Ok(Self::new(home, file, Some(name)))
    }

    fn new(home: &Arc<Directory>, file: File, name: Option<String>) -> Self {
        Self {
            file,
            home: Arc::clone(home),
            name,
            written_bytes: 0,
            written_back_bytes: 0,
            early_write_back: false,
        }
    }

    /// Has the disk begin to write long before [`sync`](Self::sync), which then waits less.
    pub(crate) fn with_early_write_back(mut self) -> Self {
        self.early_write_back = true;
        self
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// Tells the disk to write what it was not told yet; does not wait.
    pub(crate) fn begin_write_back(&mut self) {
        let waiting = NonZeroU64::new(self.written_bytes - self.written_back_bytes);
        if let (true, Some(length)) = (self.early_write_back, waiting) {
            // Linux begins to write dirty pages before it finds that it cannot drop them. It is
            // advice: what goes wrong here shows when the file is synchronised.
            let _ = rustix::fs::fadvise(
                &self.file,
                self.written_back_bytes,
                Some(length),
                Advice::DontNeed,
            );
            self.written_back_bytes = self.written_bytes;
        }
    }

    /// Waits until the content is on the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        let fail = |error| Error::io(error, "synchronising", self.describe());
        step().map_err(fail)?;
        rustix::fs::fdatasync(&self.file).map_err(|error| fail(os(error)))
    }

    /// Gives the file its name, unless something has that name already: `false`.
    pub(crate) fn link(&mut self, directory: &Directory, name: &str) -> Result<bool> {
        let fail = |error| Error::io(error, "naming", directory.describe(name));
        step().map_err(fail)?;
        let linked = match self.name.as_deref() {
            Some(own) => rename_new(&self.home, own, directory, name),
            None => self.link_nameless(directory, name),
        };
        match linked {
            Ok(()) => {
                self.name = None;
                Ok(true)
            }
            Err(Errno::EXIST) => Ok(false),
            // File systems that cannot rename without replacing: nobody writes other content
            // under the same name, so that looking first is as good.
            Err(Errno::INVAL | Errno::NOSYS) if self.name.is_some() => {
                if directory.stat(name)?.is_some() {
                    return Ok(false);
                }
                self.replace(directory, name).map(|()| true)
            }
            Err(error) => Err(fail(os(error))),
        }
    }

    /// Gives the file a name; what had it is replaced.
    pub(crate) fn replace(&mut self, directory: &Directory, name: &str) -> Result<()> {
        if self.name.is_none() {
            self.name = Some(self.name_nameless()?);
        }
        let own = self.name.as_deref().unwrap_or_default();
        self.home.rename(own, directory, name)?;
        self.name = None;
        Ok(())
    }

    fn link_nameless(&self, directory: &Directory, name: &str) -> rustix::io::Result<()> {
        let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        rustix::fs::linkat(rustix::fs::CWD, own, directory, name, AtFlags::SYMLINK_FOLLOW)
    }

    /// Gives a nameless file an unfinished name. It is locked first, as all of them are.
    fn name_nameless(&self) -> Result<String> {
        let fail = |error| Error::io(error, "naming", self.describe());
        lock_now(&self.file, LockKind::Exclusive).map_err(|error| fail(os(error)))?;
        loop {
            let name = unfinished_name();
            step().map_err(fail)?;
            match self.link_nameless(&self.home, &name) {
                Ok(()) => return Ok(name),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(fail(os(error))),
            }
        }
    }

    fn describe(&self) -> String {
        match &self.name {
            Some(name) => self.home.describe(name),
            None => format!("an unnamed file in {}", self.home.path().display()),
        }
    }
}

impl Write for TempFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        step()?;
        let written = self.file.write(bytes)?;
        self.written_bytes += written as u64;
        if self.written_bytes - self.written_back_bytes >= WRITE_BACK_BYTES {
            self.begin_write_back();
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // What cannot be removed now is swept by the next writer.
            let _ = self.home.unlink(name);
        }
        // A child process may have inherited the handle, and the next writer shall sweep now.
        unlock(&self.file);
    }
}

/// `None` where the file system cannot, or the file could not be given a name later.
fn create_nameless(home: &Directory) -> Result<Option<File>> {
    let fail = |error| Error::io(error, "creating a file in", home.path().display());
    if !nameless::are_allowed() {
        return Ok(None);
    }
    step().map_err(fail)?;
    let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(home, ".", flags, Mode::from_raw_mode(0o644)) {
        Ok(fd) => File::from(fd),
        // EISDIR and ENOENT: kernels that do not know the flag.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => return Ok(None),
        Err(error) => return Err(fail(os(error))),
    };
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(rustix::fs::stat(own).is_ok().then_some(file))
}

fn create_named(home: &Directory) -> Result<(File, String)> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    loop {
        let name = unfinished_name();
        let fail = |error| Error::io(error, "creating", home.describe(&name));
        step().map_err(fail)?;
        let file = match rustix::fs::openat(home, &name, flags, Mode::from_raw_mode(0o644)) {
            Ok(fd) => File::from(fd),
            Err(Errno::EXIST) => continue,
            Err(error) => return Err(fail(os(error))),
        };
        // Somebody who sweeps may have been quicker to lock it, and removes it then. Where files
        // cannot be locked at all, nobody sweeps.
        let lost = try_lock(&file, LockKind::Exclusive) == Locked::No
            || rustix::fs::fstat(&file).map_err(|error| fail(os(error)))?.st_nlink == 0;
        if !lost {
            return Ok((file, name));
        }
    }
}

fn rename_new(from: &Directory, old: &str, to: &Directory, new: &str) -> rustix::io::Result<()> {
    rustix::fs::renameat_with(from, old, to, new, RenameFlags::NOREPLACE)
}

fn unfinished_name() -> String {
    let random = RandomState::new().build_hasher().finish();
    format!("{PREFIX}{random:016x}")
}

/// Removes what dead writers left in a directory. What cannot be removed stays for the next.
pub(crate) fn sweep(home: &Directory) -> Result<()> {
    for name in home.names()?.iter().filter(|name| name.starts_with(PREFIX)) {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Some(found) = home.stat(name)? else { continue };
        if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
            continue;
        }
        let Ok(fd) = rustix::fs::openat(home, name.as_str(), flags, Mode::empty()) else {
            continue;
        };
        let file = File::from(fd);
        // The lock is kept until after the removal: a writer that has just made the file sees
        // that it lost it.
        if try_lock(&file, LockKind::Exclusive) != Locked::Yes {
            continue;
        }
        let same = rustix::fs::fstat(&file).is_ok_and(|own| is_same(&own, &found));
        if same {
            let _ = home.unlink(name);
        }
    }
    Ok(())
}
