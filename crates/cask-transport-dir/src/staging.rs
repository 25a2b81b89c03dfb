//! Writing where nobody looks: a hidden directory that becomes the target, or moves into it.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cask_files::fault::step;
use cask_files::{LockKind, Locked, try_lock, unlock};
use cask_image::{Algorithm, Hasher};
use cask_transport::{Error, ErrorKind, Measured, Result};
use rustix::io::Errno;

use crate::directory::Directory;
use crate::names;
use crate::replace::{self, Contents};

/// With what the names of hidden directories begin. The digits of a hash and a number follow.
const HIDDEN: &str = ".cask-unfinished-";
/// With what the names of files begin that are not complete.
pub(crate) const PART: &str = ".part-";
/// How many writers one target can have at once.
const SLOTS: usize = 64;
/// How often another program may create and remove the target while it is being published.
const ATTEMPTS: usize = 100;

/// A hidden directory that becomes the target, or vanishes. Its lock tells other writers that
/// this one still lives.
///
/// A target that exists stays the directory that it is (with its owner, its permissions, its
/// mounts and whoever works in it): the hidden directory lies within, and its files move at the
/// end. A target that does not exist yet appears as a whole: the hidden directory lies beside it
/// and is renamed.
#[derive(Debug)]
pub(crate) struct Staging {
    target: PathBuf,
    /// The hidden directory. Messages know it as the target.
    own: Directory,
    /// Its name in `home`.
    hidden: String,
    home: Directory,
    /// The target's name in `home`; `None` if `home` is the target.
    name: Option<String>,
    /// Whether files may still come.
    open: Mutex<bool>,
    parts: AtomicU64,
}

impl Staging {
    /// Checks that the target may be written, sweeps up after writers that were killed, and makes
    /// the hidden directory.
    pub(crate) fn begin(target: &str) -> Result<Self> {
        let target = Path::new(target);
        let (home, name) = locate(target)?;
        if name.is_none() {
            Contents::examine(&home)?;
        }
        let (own, hidden) = hide(&home, name.as_deref(), target)?;
        let target = target.to_owned();
        let open = Mutex::new(true);
        Ok(Self { target, own, hidden, home, name, open, parts: AtomicU64::new(0) })
    }

    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// The hidden directory, for tests that lock it.
    #[cfg(test)]
    pub(crate) fn handle(&self) -> &Directory {
        &self.own
    }

    /// An error about a file that is being written.
    pub(crate) fn fail(&self, name: &str, error: io::Error) -> Error {
        self.own.fail("writing", name, error)
    }

    /// Writes a file, which gets its name when it is complete: one that depends on what was
    /// written. A file that has this name already is replaced.
    pub(crate) fn write<T>(
        &self,
        fill: impl FnOnce(&mut Part<'_>) -> Result<T>,
        name: impl FnOnce(&T) -> String,
    ) -> Result<T> {
        let part = format!("{PART}{}", self.parts.fetch_add(1, Ordering::Relaxed));
        let fail = |error| Error::from_io(error, "writing to", self.target.display());
        let file = {
            let _open = self.expect_open()?;
            self.own.create(&part).map_err(fail)?
        };
        let mut writing = Part { file, staging: self };
        let result = fill(&mut writing).and_then(|value| {
            close(writing.file).map_err(fail)?;
            let _open = self.expect_open()?;
            self.own.rename(&part, &self.own, &name(&value)).map_err(fail)?;
            Ok(value)
        });
        if result.is_err() {
            // It goes with the directory otherwise.
            let _ = self.own.unlink(&part);
        }
        result
    }

    /// Makes a blob of the old image one of the new, if it has the very bytes.
    pub(crate) fn reuse(&self, wanted: &Measured) -> Result<bool> {
        let name = names::blob(&wanted.digest);
        // Whatever is wrong with the old file, a new one can be written.
        let Ok(Some(file)) = self.home.file(&name) else { return Ok(false) };
        if self.name.is_some() || !has_bytes(&file, wanted).unwrap_or(false) {
            return Ok(false);
        }
        let _open = self.expect_open()?;
        if self.home.link(&name, &self.own).is_err() {
            return Ok(false);
        }
        // Another writer may have put another file there meanwhile.
        if self.own.is_still(&name, &file) {
            return Ok(true);
        }
        self.own.unlink(&name).map_err(|error| self.own.fail("removing", &name, error))?;
        Ok(false)
    }

    /// Makes the image visible, and tells what could not be cleaned up. No file can be written
    /// any more.
    pub(crate) fn publish(&self) -> Result<Vec<String>> {
        {
            let mut open = self.expect_open()?;
            *open = false;
        }
        let result = self.remove_parts().and_then(|()| match &self.name {
            Some(name) => self.publish_new(name),
            None => self.publish_within(),
        });
        if !matches!(result, Ok(None)) {
            remove_hidden(&self.home, &self.own, &self.hidden);
        }
        result.map(Option::unwrap_or_default)
    }

    /// Removes the hidden directory, unless the image was published or is about to be.
    pub(crate) fn abandon(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut *open, false) {
            remove_hidden(&self.home, &self.own, &self.hidden);
        }
    }

    /// Holds the door open: nothing is published while the guard lives.
    fn expect_open(&self) -> Result<MutexGuard<'_, bool>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if *open {
            return Ok(open);
        }
        Err(Error::new(ErrorKind::Cancelled, "writing to", self.target.display())
            .with_detail("the transaction is over"))
    }

    /// Removes what writes left that were given up and may be running still.
    fn remove_parts(&self) -> Result<()> {
        for name in self.own.names()? {
            if name.starts_with(PART) {
                self.own.unlink(&name).map_err(|error| self.own.fail("removing", &name, error))?;
            }
        }
        Ok(())
    }

    /// Renames the hidden directory to the target; `None` if that was possible.
    fn publish_new(&self, name: &str) -> Result<Option<Vec<String>>> {
        let fail = |error| Error::from_io(error, "creating", self.target.display());
        for _ in 0..ATTEMPTS {
            // Over an empty directory this works too, and over nothing else.
            let Err(error) = self.home.rename(&self.hidden, &self.home, name) else {
                return Ok(None);
            };
            match Errno::from_io_error(&error) {
                Some(Errno::EXIST | Errno::NOTEMPTY) => {}
                Some(Errno::NOTDIR) => return Err(not_a_directory(&self.target)),
                _ => return Err(fail(error)),
            }
            match self.home.subdirectory(name, self.target.clone()) {
                Ok(target) => return replace::replace(&self.own, &target).map(Some),
                Err(Errno::NOENT) => {}
                Err(error) => return Err(fail(error.into())),
            }
        }
        Err(Error::new(ErrorKind::AlreadyExists, "creating", self.target.display())
            .with_detail("other programs create and remove it all the time"))
    }

    /// Moves the files to where they belong.
    fn publish_within(&self) -> Result<Option<Vec<String>>> {
        if !self.home.is_at(&self.target) {
            return Err(Error::new(ErrorKind::NotFound, "writing to", self.target.display())
                .with_detail("the directory was moved or removed meanwhile"));
        }
        replace::replace(&self.own, &self.home).map(Some)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        self.abandon();
        // The next writer sweeps what could not be removed now. A child process that was started
        // meanwhile may have the handle for a moment longer, and the lock must not live as long.
        unlock(&self.own);
    }
}

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    file: File,
    staging: &'a Staging,
}

impl Part<'_> {
    /// Reads what was written, for its digest and size.
    pub(crate) fn measure(&mut self, algorithm: Algorithm) -> io::Result<Measured> {
        self.file.seek(SeekFrom::Start(0))?;
        measure(&self.file, algorithm)
    }
}

impl Write for Part<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Whoever gave the transaction up does not want to wait for the end of a large blob.
        drop(self.staging.expect_open()?);
        step()?;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Finds the directory that is written, or its parent and its name there.
fn locate(target: &Path) -> Result<(Directory, Option<String>)> {
    let fail = |error: io::Error| Error::from_io(error, "opening", target.display());
    match Directory::open(target) {
        Ok(directory) => return Ok((directory, None)),
        Err(Errno::NOENT | Errno::NOTDIR) => {}
        Err(error) => return Err(fail(error.into())),
    }
    // Without slashes at the end, which would have links followed.
    let bare: PathBuf = target.components().collect();
    match bare.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(fail(error)),
        Ok(found) if found.is_symlink() => {
            return Err(Error::new(ErrorKind::AlreadyExists, "writing to", target.display())
                .with_detail("it is a symbolic link that does not lead to a directory"));
        }
        // Another writer was quicker.
        Ok(found) if found.is_dir() => {
            let directory = Directory::open(target).map_err(|error| fail(error.into()))?;
            return Ok((directory, None));
        }
        Ok(_) => return Err(not_a_directory(target)),
    }
    let Some(name) = bare.file_name().and_then(|name| name.to_str()) else {
        return Err(fail(Errno::NOENT.into()));
    };
    let parent = bare.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let home = Directory::open(parent).map_err(|error| {
        let failed = Error::from_io(error.into(), "opening", parent.display());
        match failed.kind() {
            ErrorKind::NotFound => failed.with_hint("the parent directory must exist"),
            _ => failed,
        }
    })?;
    Ok((home, Some(name.to_owned())))
}

fn not_a_directory(target: &Path) -> Error {
    Error::new(ErrorKind::AlreadyExists, "writing to", target.display())
        .with_detail("it is not a directory")
}

/// Sweeps up after the dead, and makes a hidden directory with a lock.
///
/// The names are made of the target's, so that a writer finds what its predecessors left without
/// listing a directory that may hold thousands of images.
fn hide(home: &Directory, name: Option<&str>, target: &Path) -> Result<(Directory, String)> {
    let hash = Hasher::digest(Algorithm::Sha256, name.unwrap_or_default().as_bytes());
    let names: Vec<_> =
        (0..SLOTS).map(|slot| format!("{HIDDEN}{}-{slot}", &hash.hex()[..16])).collect();
    for hidden in &names {
        sweep(home, hidden);
    }
    for hidden in names {
        let fail = |error| Error::from_io(error, "creating", home.path().join(&hidden).display());
        match home.create_subdirectory(&hidden) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(fail(error)),
        }
        match home.subdirectory(&hidden, target.to_owned()) {
            // Whoever sweeps may have been quicker than the lock: then it is lost.
            Ok(own) => match try_lock(&own, LockKind::Exclusive) {
                Locked::Yes | Locked::Unsupported if home.is_still(&hidden, &own) => {
                    return Ok((own, hidden));
                }
                _ => {}
            },
            Err(Errno::NOENT) => {}
            Err(error) => {
                let _ = home.remove_subdirectory(&hidden);
                return Err(fail(error.into()));
            }
        }
    }
    Err(Error::new(ErrorKind::Io, "writing to", target.display())
        .with_detail(format!("{SLOTS} others write there, or did and left their files behind"))
        .with_hint(format!(
            "if nobody does, remove the directories {HIDDEN}* in {}",
            home.path().display()
        )))
}

/// Whether a name is that of a hidden directory.
pub(crate) fn is_hidden(name: &str) -> bool {
    let Some((hash, slot)) = name.strip_prefix(HIDDEN).and_then(|rest| rest.split_once('-')) else {
        return false;
    };
    hash.len() == 16
        && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && slot.parse().is_ok_and(|number: usize| number < SLOTS && number.to_string() == slot)
}

/// Removes a hidden directory whose writer is dead.
fn sweep(home: &Directory, hidden: &str) {
    let Ok(found) = home.subdirectory(hidden, home.path().join(hidden)) else { return };
    // Its writer may have published it, and let go of it, since it was opened.
    if !found.is_own() || try_lock(&found, LockKind::Exclusive) != Locked::Yes {
        return;
    }
    if home.is_still(hidden, &found) {
        remove_hidden(home, &found, hidden);
    }
    unlock(&found);
}

/// Removes a hidden directory with the files that a writer makes, and nothing else. What cannot
/// be removed now is tried again by the next writer.
fn remove_hidden(home: &Directory, own: &Directory, hidden: &str) {
    for name in own.names().unwrap_or_default() {
        if name.starts_with(PART) || names::is_of_an_image(&name) {
            let _ = own.unlink(&name);
        }
    }
    let _ = home.remove_subdirectory(hidden);
}

/// Whether a file has the bytes that are wanted.
fn has_bytes(file: &File, wanted: &Measured) -> io::Result<bool> {
    if file.metadata()?.len() != wanted.size {
        return Ok(false);
    }
    Ok(measure(file, wanted.digest.algorithm())? == *wanted)
}

/// Reads a file for its digest and size.
fn measure(file: impl io::Read, algorithm: Algorithm) -> io::Result<Measured> {
    let mut hasher = Hasher::new(algorithm);
    hasher.update_from(file)?;
    let size = hasher.len();
    Ok(Measured { digest: hasher.finish(), size })
}

/// Closes a file that was written: here servers and quotas say what they did not take.
fn close(file: File) -> io::Result<()> {
    match nix::unistd::close(file) {
        Ok(()) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
