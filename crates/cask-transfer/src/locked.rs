//! Files that only one opening at a time uses.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use cask_files::fault;
use rustix::fs::{FlockOperation, OFlags};
use rustix::io::Errno;

/// How often to open anew a file that was removed in the meantime.
const ATTEMPTS: usize = 16;

/// What becomes of a file that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// It stays so.
    Stays,
    /// It is made, empty.
    IsMade,
}

/// A file, locked until this is dropped or the process dies.
#[derive(Debug)]
pub(crate) struct Locked {
    file: File,
    path: PathBuf,
}

impl Locked {
    /// Opens and locks a file; `None` if there is none, if somebody else uses it, or if it is no
    /// file.
    pub(crate) fn open(path: &Path, absent: Absent) -> io::Result<Option<Self>> {
        let is_made = absent == Absent::IsMade;
        let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits());
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(is_made).truncate(false).mode(0o600);
        options.custom_flags(flags.expect("the flags of openat are small"));
        for _ in 0..ATTEMPTS {
            if is_made {
                fault::step()?;
            }
            let file = match options.open(path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound && !is_made => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::INTR) => continue,
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
            let metadata = file.metadata()?;
            if !metadata.is_file() {
                return Ok(None);
            }
            // Whoever held it before may have removed it.
            if metadata.nlink() > 0 {
                return Ok(Some(Self { file, path: path.to_owned() }));
            }
        }
        Ok(None)
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Removes the file. That it is gone is no error, and neither is that it stays.
    pub(crate) fn remove(&self) {
        if let Err(error) = fault::step().and_then(|()| std::fs::remove_file(&self.path)) {
            tracing::debug!(%error, path = %self.path.display(), "a file stays");
        }
    }
}

/// Makes a directory for nobody but its owner.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fault::step()?;
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}
