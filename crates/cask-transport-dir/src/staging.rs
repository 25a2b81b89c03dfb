//! Writing beside the target, and changing places with it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use cask_transport::{Error, ErrorKind, Result};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, RenameFlags, StatxAttributes, StatxFlags};

use crate::files;

/// A hidden directory that becomes the target, or vanishes.
///
/// Its lock tells the next writer that this one still lives.
pub(crate) struct Staging {
    target: PathBuf,
    path: PathBuf,
    directory: OwnedFd,
    /// The target is a directory and is there.
    replaces: bool,
    /// The directory lies in the target, because it could not lie beside it.
    inside: bool,
    published: bool,
}

impl Staging {
    /// Checks that the target may be written, sweeps up after writers that were killed, and makes
    /// the hidden directory.
    pub(crate) fn begin(target: &Path) -> Result<Self> {
        let (target, replaces) = examine(target)?;
        let inside = replaces && is_mount_point(&target)?;
        if !inside {
            match Self::create(&target, replaces, false) {
                Err(error) if replaces && error.kind() == ErrorKind::Denied => {}
                result => return result,
            }
        }
        Self::create(&target, replaces, true)
    }

    fn create(target: &Path, replaces: bool, inside: bool) -> Result<Self> {
        let (parent, prefix) = if inside {
            (target, OsString::from(".cask-"))
        } else {
            let mut prefix = OsString::from(".");
            prefix.push(target.file_name().unwrap_or_default());
            prefix.push(".cask-");
            (target.parent().unwrap_or(Path::new("/")), prefix)
        };
        sweep(parent, &prefix);
        loop {
            let mut name = prefix.clone();
            name.push(unique());
            let path = parent.join(name);
            match rustix::fs::mkdir(&path, Mode::from_raw_mode(0o755)) {
                Ok(()) => {}
                Err(rustix::io::Errno::EXIST) => continue,
                Err(error) => {
                    return Err(Error::from_io(error.into(), "creating", path.display()));
                }
            }
            // Between the two calls another writer may take the directory for litter.
            let Ok(directory) = files::open_directory(&path) else { continue };
            if rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive).is_err()
                || !path.exists()
            {
                continue;
            }
            let target = target.to_owned();
            return Ok(Self { target, path, directory, replaces, inside, published: false });
        }
    }

    /// The hidden directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Creates a file in the hidden directory.
    pub(crate) fn create_file(&self, name: &str) -> Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        rustix::fs::openat(&self.directory, name, flags, Mode::from_raw_mode(0o644))
            .map(File::from)
            .map_err(|error| {
                Error::from_io(error.into(), "creating", self.path.join(name).display())
            })
    }

    /// Removes a file of the hidden directory that turned out to be wrong.
    pub(crate) fn discard(&self, name: &str) {
        // It goes with the directory otherwise.
        let _ = rustix::fs::unlinkat(&self.directory, name, AtFlags::empty());
    }

    /// Makes the hidden directory the target.
    pub(crate) fn publish(mut self) -> Result<()> {
        if self.inside {
            self.publish_files()?;
        } else if self.replaces {
            self.exchange()?;
        } else {
            rustix::fs::renameat_with(
                rustix::fs::CWD,
                &self.path,
                rustix::fs::CWD,
                &self.target,
                RenameFlags::NOREPLACE,
            )
            .map_err(|error| match error {
                rustix::io::Errno::EXIST => {
                    Error::new(ErrorKind::AlreadyExists, "creating", self.target.display())
                        .with_detail("another program created it meanwhile")
                }
                error => Error::from_io(error.into(), "creating", self.target.display()),
            })?;
            self.published = true;
        }
        Ok(())
    }

    /// Changes places with the old image, which then is ours to remove.
    fn exchange(&mut self) -> Result<()> {
        let fail = |error: io::Error| Error::from_io(error, "replacing", self.target.display());
        // The old image must not be gone before the new one can survive a power failure.
        rustix::fs::syncfs(&self.directory).map_err(|error| fail(error.into()))?;
        let mode = fs::metadata(&self.target).map_err(fail)?.permissions();
        fs::set_permissions(&self.path, mode).map_err(fail)?;
        let exchanged = rustix::fs::renameat_with(
            rustix::fs::CWD,
            &self.path,
            rustix::fs::CWD,
            &self.target,
            RenameFlags::EXCHANGE,
        );
        match exchanged {
            // What lies under the hidden name now is the old image: dropping removes it.
            Ok(()) => Ok(()),
            // A file system without the call, or a mount in between.
            Err(_) => self.publish_files(),
        }
    }

    /// Moves the files one by one; the manifest goes first and comes last.
    fn publish_files(&mut self) -> Result<()> {
        let fail = |path: &Path, error| Error::from_io(error, "replacing", path.display());
        let list = |directory: &Path| -> Result<Vec<PathBuf>> {
            fs::read_dir(directory)
                .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
                .map_err(|error| fail(directory, error))
        };
        let mut old = list(&self.target)?;
        old.retain(|path| *path != self.path);
        old.sort_by_key(|path| !path.ends_with(files::MANIFEST));
        for path in &old {
            let removed = if path.is_dir() && !path.is_symlink() {
                fs::remove_dir_all(path)
            } else {
                fs::remove_file(path)
            };
            removed.map_err(|error| fail(path, error))?;
        }
        let mut new = list(&self.path)?;
        new.sort_by_key(|path| path.ends_with(files::MANIFEST));
        for path in &new {
            let to = self.target.join(path.file_name().unwrap_or_default());
            fs::rename(path, &to).map_err(|error| fail(&to, error))?;
        }
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.published {
            // Nothing can be reported from here, and the next writer tries again.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Finds out where the target really is, and whether it may be replaced.
fn examine(target: &Path) -> Result<(PathBuf, bool)> {
    let fail = |error| Error::from_io(error, "opening", target.display());
    match fs::canonicalize(target) {
        Ok(resolved) => {
            let mut entries = fs::read_dir(&resolved).map_err(|error| {
                if error.kind() == io::ErrorKind::NotADirectory {
                    return Error::new(ErrorKind::AlreadyExists, "writing to", target.display())
                        .with_detail("it is not a directory");
                }
                fail(error)
            })?;
            let empty = entries.all(|entry| {
                entry.is_ok_and(|entry| entry.file_name().as_encoded_bytes().starts_with(b".cask-"))
            });
            if !empty {
                let directory = files::open_directory(&resolved)?;
                let ours = files::read_file(&directory, &resolved, files::VERSION, 256).is_ok();
                if !ours {
                    return Err(Error::new(
                        ErrorKind::AlreadyExists,
                        "writing to",
                        target.display(),
                    )
                    .with_detail(
                        "not a containers image directory, don't want to overwrite important data",
                    )
                    .with_hint("name an empty directory, or one that does not exist yet"));
                }
                files::check_version(&directory, &resolved)?;
            }
            Ok((resolved, true))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && !target.is_symlink() => {
            let absolute = std::path::absolute(target).map_err(fail)?;
            let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
                return Err(fail(error));
            };
            let parent = fs::canonicalize(parent)
                .map_err(|error| Error::from_io(error, "opening", parent.display()))?;
            Ok((parent.join(name), false))
        }
        Err(error) => Err(fail(error)),
    }
}

fn is_mount_point(path: &Path) -> Result<bool> {
    let stat = rustix::fs::statx(rustix::fs::CWD, path, AtFlags::empty(), StatxFlags::BASIC_STATS)
        .map_err(|error| Error::from_io(error.into(), "reading", path.display()))?;
    Ok(stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Removes the hidden directories of writers that no longer hold their lock.
fn sweep(parent: &Path, prefix: &OsString) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().as_encoded_bytes().starts_with(prefix.as_encoded_bytes()) {
            continue;
        }
        let Ok(directory) = files::open_directory(&entry.path()) else { continue };
        if rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive).is_ok() {
            // What cannot be removed now is tried again by the next writer.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A name that no other writer takes at the same time; a clash is tried again.
fn unique() -> String {
    let nanoseconds =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    format!("{}-{nanoseconds:08x}", std::process::id())
}
