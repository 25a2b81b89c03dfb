//! Where an archive is written to: a file that appears when it is complete, or a stream.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, RenameFlags};
use rustix::io::Errno;

use crate::error::{Error, ErrorKind, Result};
use crate::file::{random, without_name};

/// What happens to a file that exists where an archive is to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Existing {
    /// It is replaced when the new archive is complete, and not before.
    #[default]
    Replaced,
    /// Writing fails, unless the file is empty.
    Refused,
}

/// A file that nobody sees until it is published.
#[derive(Debug)]
pub(crate) struct HiddenFile {
    pub(crate) file: Arc<File>,
    /// Where it will be.
    path: PathBuf,
    /// Where it is meanwhile. Most files have no name at all, so a killed process leaves nothing.
    hidden_path: Option<PathBuf>,
    may_replace: bool,
}

impl HiddenFile {
    /// Begins a file in the directory of `path`, after sweeping up what killed writers left there.
    pub(crate) fn begin(path: &Path, existing: Existing) -> Result<Self> {
        let failed = |error| Error::io("writing", path, error);
        let found = match fs::metadata(path) {
            Ok(found) if existing == Existing::Refused && found.len() > 0 => {
                let detail = "the file exists, and is not to be replaced";
                return Err(Error::new(ErrorKind::Exists, "writing", path, detail));
            }
            Ok(found) => Some(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        let path = resolved(path).map_err(failed)?;
        sweep(&path);
        let (file, hidden_path) = hidden(&path).map_err(failed)?;
        if let Some(found) = &found {
            // Who could not read the old archive shall not read the new one.
            let mode = Permissions::from_mode(found.mode() & 0o777);
            file.set_permissions(mode).map_err(failed)?;
        }
        let may_replace = found.is_some() || existing == Existing::Replaced;
        Ok(Self { file: Arc::new(file), path, hidden_path, may_replace })
    }

    /// The directory that the file is in.
    pub(crate) fn directory(&self) -> &Path {
        directory(&self.path)
    }

    /// Makes the file visible under its path, at once.
    pub(crate) fn publish(mut self, sync: bool) -> Result<()> {
        let result = self.try_publish(sync);
        let path = std::mem::take(&mut self.path);
        result.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                let detail = "another program wrote the file meanwhile";
                Error::new(ErrorKind::Exists, "writing", &path, detail).caused_by(error)
            }
            _ => Error::io("writing", &path, error),
        })
    }

    fn try_publish(&mut self, sync: bool) -> io::Result<()> {
        if sync {
            self.file.sync_all()?;
        }
        match (self.hidden_path.clone(), self.may_replace) {
            (None, false) => self.link_to(&self.path)?,
            (None, true) => {
                let hidden = self.link_to_hidden()?;
                self.hidden_path = Some(hidden.clone());
                fs::rename(hidden, &self.path)?;
            }
            (Some(hidden), true) => fs::rename(hidden, &self.path)?,
            (Some(hidden), false) => rename_to_new(&hidden, &self.path)?,
        }
        self.hidden_path = None;
        if sync {
            File::open(self.directory())?.sync_all()?;
        }
        Ok(())
    }

    /// Gives a file without a name its first one.
    fn link_to(&self, path: &Path) -> io::Result<()> {
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&self.file);
        let from = format!("/proc/self/fd/{descriptor}");
        rustix::fs::linkat(CWD, from, CWD, path, AtFlags::SYMLINK_FOLLOW).map_err(Into::into)
    }

    /// A name that only lives until the rename; the lock keeps others from sweeping it up.
    fn link_to_hidden(&self) -> io::Result<PathBuf> {
        lock(&self.file)?;
        let path = hidden_path(&self.path);
        self.link_to(&path)?;
        Ok(path)
    }
}

impl Drop for HiddenFile {
    fn drop(&mut self) {
        if let Some(path) = self.hidden_path.take() {
            // Nothing more can be done about it: the next writer tries again.
            let _ = fs::remove_file(path);
        }
    }
}

/// The file that a path leads to, so that a symbolic link stays one.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => match fs::canonicalize(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => dangling(path),
            resolved => resolved,
        },
        _ => Ok(path.to_owned()),
    }
}

/// The target of a symbolic link to a file that does not exist yet.
fn dangling(path: &Path) -> io::Result<PathBuf> {
    let target = directory(path).join(fs::read_link(path)?);
    match fs::symlink_metadata(&target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(target),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::other("a symbolic link to a symbolic link that leads nowhere")),
    }
}

/// The directory that a file is in.
fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Renames, but never over another file.
fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        result => result.map_err(Into::into),
    }
}

const HIDDEN_SUFFIX: &str = ".partial";
/// A dot, 16 digits and the suffix leave this much of 255 bytes for the file's own name.
const MAX_STEM_BYTES: usize = 220;

/// What the names of all hidden files for `path` start with.
fn hidden_stem(path: &Path) -> Vec<u8> {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    [b".", &name[..name.len().min(MAX_STEM_BYTES)], b"."].concat()
}

fn hidden_path(path: &Path) -> PathBuf {
    let mut name = hidden_stem(path);
    name.extend(format!("{:016x}{HIDDEN_SUFFIX}", random()).bytes());
    directory(path).join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&name))
}

/// Makes a hidden file: one without a name, if the file system and the system can.
fn hidden(path: &Path) -> io::Result<(File, Option<PathBuf>)> {
    match without_name(directory(path), Mode::from_raw_mode(0o666)) {
        // Giving the file its name later needs /proc.
        Ok(file) if Path::new("/proc/self/fd").exists() => return Ok((file, None)),
        Ok(_) | Err(Errno::OPNOTSUPP | Errno::ISDIR) => {}
        Err(error) => return Err(error.into()),
    }
    named(path).map(|(file, path)| (file, Some(path)))
}

/// Makes a hidden file with a name, where files cannot be without one.
fn named(path: &Path) -> io::Result<(File, PathBuf)> {
    loop {
        let hidden = hidden_path(path);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o666);
        let file = options.open(&hidden)?;
        lock(&file)?;
        // Between its creation and its lock, another writer may have taken it for a left-over.
        if file.metadata()?.nlink() > 0 {
            return Ok((file, hidden));
        }
    }
}

/// Marks a hidden file as being written. Where files cannot be locked, nothing sweeps either.
fn lock(file: &File) -> io::Result<()> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::NOLCK | Errno::WOULDBLOCK) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Removes the hidden files of writers that are no more. What cannot be removed stays.
fn sweep(path: &Path) {
    let stem = hidden_stem(path);
    let Ok(entries) = fs::read_dir(directory(path)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let random = name.as_encoded_bytes().strip_prefix(&stem[..]);
        let random = random.and_then(|rest| rest.strip_suffix(HIDDEN_SUFFIX.as_bytes()));
        if random
            .is_some_and(|random| random.len() == 16 && random.iter().all(u8::is_ascii_hexdigit))
        {
            sweep_file(&entry.path());
        }
    }
}

fn sweep_file(path: &Path) {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits() as i32);
    let Ok(file) = options.open(path) else { return };
    let is_file = file.metadata().is_ok_and(|found| found.is_file());
    if is_file && rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
        let _ = fs::remove_file(path);
    }
}

/// What to do with a path that an archive is to be written to.
pub(crate) enum PathKind {
    /// A regular file, or none yet.
    File,
    /// A pipe, a device, or an open file behind `/dev` or `/proc`: written from front to back.
    Stream,
}

impl PathKind {
    pub(crate) fn of(path: &Path) -> Result<Self> {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                let error = io::Error::from(io::ErrorKind::IsADirectory);
                Err(Error::io("writing", path, error))
            }
            Ok(found) if !found.is_file() => Ok(Self::Stream),
            Ok(_) if is_open_file(path) => Ok(Self::Stream),
            Ok(_) => Ok(Self::File),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::File),
            Err(error) => Err(Error::io("writing", path, error)),
        }
    }
}

/// Whether a path names a file that a process has open, and not one in a directory.
fn is_open_file(path: &Path) -> bool {
    path.starts_with("/proc") || path.starts_with("/dev/fd") || path == Path::new("/dev/stdout")
}

/// Waits until nobody else appends to the archive, and opens it. The lock lasts as long as the
/// file is open.
pub(crate) fn open_locked(path: &Path) -> io::Result<File> {
    loop {
        let file = File::open(path)?;
        match rustix::fs::flock(&file, FlockOperation::LockExclusive) {
            Err(Errno::INTR) => continue,
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::NOLCK) => {}
            Err(error) => return Err(error.into()),
        }
        // Whoever had the lock before may have put a new file in its place.
        let (locked, current) = (file.metadata()?, fs::metadata(path)?);
        if (locked.dev(), locked.ino()) == (current.dev(), current.ino()) {
            return Ok(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    /// A file as it is begun where files cannot be without a name.
    fn begin_named(path: &Path, may_replace: bool) -> HiddenFile {
        let (file, hidden) = named(path).unwrap();
        file.write_all_at(b"new", 0).unwrap();
        let (file, path) = (Arc::new(file), path.to_owned());
        HiddenFile { file, path, hidden_path: Some(hidden), may_replace }
    }

    fn names(directory: &Path) -> Vec<std::ffi::OsString> {
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_file_that_has_a_name_meanwhile_behaves_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        let file = begin_named(&path, false);
        sweep(&path);
        assert_eq!(names(directory.path()).len(), 1, "the living are not swept");
        drop(file);
        assert_eq!(names(directory.path()).len(), 0);

        begin_named(&path, false).publish(true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        let error = begin_named(&path, false).publish(false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exists);
        fs::write(&path, b"old").unwrap();
        begin_named(&path, true).publish(false).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(directory.path()), ["x"]);
    }

    #[test]
    fn long_names_have_room_for_the_hidden_ones() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("n".repeat(255));
        begin_named(&path, false).publish(false).unwrap();
        assert!(path.exists());
    }
}
