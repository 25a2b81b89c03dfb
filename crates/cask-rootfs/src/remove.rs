//! Removing trees: without following, without recursion, with few open files.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;

use crate::directory::{descriptor_path, permissions};
use crate::entries::list;
use crate::{Directory, Error, Kind, Operation, Result};

/// How many directories are open at a time. What lies deeper is moved up first.
const DEEPEST: usize = 32;

/// How often a directory is emptied again that others keep filling.
const ATTEMPTS: usize = 16;

impl Directory {
    /// Removes an entry and, if it is a directory, everything in it. A missing one is no error.
    ///
    /// Nothing is followed, and no mount is entered. Depth does not matter: at most 32 directories
    /// are open at a time. A directory of the caller's that forbids itself to its owner is opened up.
    ///
    /// # Errors
    ///
    /// [`Busy`](crate::ErrorKind::Busy) where something is mounted in the tree, which is then partly
    /// removed; `Denied`; `NotEmpty` where others keep creating entries.
    pub fn remove_all(&self, name: impl AsRef<OsStr>) -> Result<()> {
        let name = self.checked(Operation::Remove, name.as_ref())?;
        match rustix::fs::unlinkat(self, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(errno) => return Err(self.system(Operation::Remove, name, errno)),
        }
        let failed = |(path, errno): (PathBuf, Errno)| -> Error {
            self.system(Operation::Remove, PathBuf::from(name).join(path).as_os_str(), errno)
        };
        for _ in 0..ATTEMPTS {
            let top = match open(self.as_fd(), name) {
                Ok(top) => top,
                Err(Errno::NOENT) => return Ok(()),
                Err(errno) => return Err(failed((PathBuf::new(), errno))),
            };
            clear(&top).map_err(failed)?;
            match rustix::fs::unlinkat(self, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => return Ok(()),
                Err(Errno::NOTEMPTY | Errno::EXIST) => {}
                Err(errno) => return Err(failed((PathBuf::new(), errno))),
            }
        }
        Err(failed((PathBuf::new(), Errno::NOTEMPTY)))
    }
}

/// A directory on the way down, with what is left to remove in it.
struct Level {
    fd: OwnedFd,
    name: OsString,
    left: Vec<(OsString, bool)>,
}

type Failure = (PathBuf, Errno);

/// Removes everything in a directory that is there when it is looked at.
fn clear(top: &OwnedFd) -> Result<(), Failure> {
    let mut moved = 0;
    loop {
        let before = moved;
        clear_once(top, &mut moved)?;
        // What was too deep lies in the top directory now.
        if moved == before {
            return Ok(());
        }
    }
}

fn clear_once(top: &OwnedFd, moved: &mut u64) -> Result<(), Failure> {
    let mut levels = vec![level(top.as_fd(), OsStr::new(".")).map_err(|e| (PathBuf::new(), e))?];
    while let Some(here) = levels.last_mut() {
        let Some((name, is_directory)) = here.left.pop() else {
            let done = levels.pop().expect("there is a last level");
            if let Some(parent) = levels.last() {
                let removed = unlink(&parent.fd, &done.name, AtFlags::REMOVEDIR);
                removed.map_err(|errno| (place(&levels, &done.name), errno))?;
            }
            continue;
        };
        let outcome = if !is_directory {
            match unlink(&here.fd, &name, AtFlags::empty()) {
                // It was something else a moment ago, or the file system did not say.
                Err(Errno::ISDIR | Errno::PERM) => descend(&mut levels, &name, top, moved),
                other => other,
            }
        } else {
            descend(&mut levels, &name, top, moved)
        };
        outcome.map_err(|errno| (place(&levels, &name), errno))?;
    }
    Ok(())
}

/// Goes into a directory, or moves it up where that would be too deep.
fn descend(
    levels: &mut Vec<Level>,
    name: &OsStr,
    top: &OwnedFd,
    moved: &mut u64,
) -> Result<(), Errno> {
    let here = levels.last().expect("somebody popped the name from it");
    if levels.len() < DEEPEST {
        match level(here.fd.as_fd(), name) {
            Ok(found) => levels.push(found),
            Err(Errno::NOENT) => {}
            // No directory any more: as an entry it can go.
            Err(Errno::NOTDIR | Errno::LOOP) => unlink(&here.fd, name, AtFlags::empty())?,
            Err(errno) => return Err(errno),
        }
        return Ok(());
    }
    let mut opened_up = false;
    loop {
        let new = format!(".moved-{moved}");
        *moved += 1;
        match rustix::fs::renameat_with(&here.fd, name, top, &new, RenameFlags::NOREPLACE) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::EXIST) => {}
            // Two directories may forbid it: this one, and the one that moves.
            Err(Errno::ACCESS) if !opened_up => {
                opened_up = true;
                open_up(&here.fd)?;
                open(here.fd.as_fd(), name).and_then(|moving| open_up(&moving))?;
            }
            Err(errno) => return Err(errno),
        }
    }
}

fn place(levels: &[Level], name: &OsStr) -> PathBuf {
    levels.iter().skip(1).map(|level| &*level.name).chain([name]).collect()
}

fn level(parent: BorrowedFd<'_>, name: &OsStr) -> Result<Level, Errno> {
    let fd = open(parent, name)?;
    let left = list(Dir::read_from(&fd)?)?
        .into_iter()
        .map(|entry| (entry.name, entry.kind == Kind::Directory))
        .collect();
    Ok(Level { fd, name: name.to_owned(), left })
}

/// Opens a directory for listing, and only on the same mount.
fn open(parent: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    let try_open = |access| {
        let flags = access | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat2(parent, name, flags, Mode::empty(), ResolveFlags::NO_XDEV)
    };
    match try_open(OFlags::RDONLY) {
        Err(Errno::ACCESS) => {}
        other => return other,
    }
    open_up(&try_open(OFlags::PATH)?)?;
    try_open(OFlags::RDONLY)
}

fn unlink(parent: &OwnedFd, name: &OsStr, flags: AtFlags) -> Result<(), Errno> {
    match rustix::fs::unlinkat(parent, name, flags) {
        Err(Errno::NOENT) => Ok(()),
        Err(Errno::ACCESS) => {
            open_up(parent)?;
            rustix::fs::unlinkat(parent, name, flags)
        }
        // Filled meanwhile: the caller looks again.
        Err(Errno::NOTEMPTY | Errno::EXIST) if flags.contains(AtFlags::REMOVEDIR) => Ok(()),
        other => other,
    }
}

/// Lets the owner of a directory into it.
fn open_up(directory: &OwnedFd) -> Result<(), Errno> {
    rustix::fs::chmod(descriptor_path(directory.as_fd()), permissions(0o700))
}
