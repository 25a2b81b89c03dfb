//! Replacing an auth file so that nobody sees half of it, and no change gets lost.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{ErrorKind as IoErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use cask_json::{ErrorKind as JsonErrorKind, Object, Style};

use crate::document::RULES;
use crate::files::{read, with_document};
use crate::{AuthFile, Error, ErrorKind};

/// How long another writer may take.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Changes a file; one that does not exist is an empty object. `change` tells whether there is
/// something to write, or that the file is malformed. Returns the former.
///
/// The directory is locked meanwhile, for the file itself is replaced. A symbolic link stays, and
/// what it leads to is replaced, as Docker does.
pub(crate) fn update(
    file: &AuthFile,
    change: impl FnOnce(&mut Object) -> Option<bool>,
) -> Result<bool, Error> {
    let path = resolve(&file.path)?;
    let failed = |error: std::io::Error| {
        Error::caused(ErrorKind::Write, format!("writing to file {path:?}"), error)
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let _lock = lock(folder)?;
    let mut root = match read(&path)? {
        Some(bytes) => parse(&bytes, file)?,
        None => Object::new(),
    };
    let malformed = || {
        let message = format!("updating {:?}", file.path);
        Error::caused(ErrorKind::Malformed, message, "\"auths\" or an entry of it is no object")
    };
    let changed = change(&mut root).ok_or_else(malformed)?;
    if changed {
        replace(&path, folder, &root.encode(Style::indented("\t"))).map_err(failed)?;
    }
    Ok(changed)
}

fn parse(bytes: &[u8], file: &AuthFile) -> Result<Object, Error> {
    // As strictly as for reading.
    with_document(bytes, file, |document| document.keys().map(drop))?;
    Object::parse(bytes, RULES).map_err(|error| {
        debug_assert_ne!(error.kind(), JsonErrorKind::Syntax, "it was parsed before");
        Error::malformed(&file.path, error)
    })
}

/// Where a file is, links followed.
///
/// A link of another user is refused: in a directory where anybody may write, it would have us
/// overwrite what it leads to.
fn resolve(path: &Path) -> Result<PathBuf, Error> {
    let failed = |error: std::io::Error| {
        Error::caused(ErrorKind::Write, format!("writing to file {path:?}"), error)
    };
    let mut path = path.to_owned();
    // As many as Linux follows.
    for _ in 0..40 {
        let metadata = match path.symlink_metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == IoErrorKind::NotFound => return Ok(path),
            Err(error) => return Err(failed(error)),
        };
        if !metadata.is_symlink() {
            if metadata.is_file() {
                return Ok(path);
            }
            let message = format!("{path:?} is not a regular file");
            return Err(Error::new(ErrorKind::Write, message));
        }
        if ![0, rustix::process::geteuid().as_raw()].contains(&metadata.uid()) {
            let message = format!("the symbolic link {path:?} belongs to another user");
            return Err(Error::new(ErrorKind::Write, message));
        }
        let target = path.read_link().map_err(failed)?;
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    Err(failed(rustix::io::Errno::LOOP.into()))
}

/// Locks a directory against other writers, until the result is dropped.
fn lock(folder: &Path) -> Result<Option<File>, Error> {
    let failed = |error: std::io::Error| {
        Error::caused(ErrorKind::Write, format!("locking {folder:?}"), error)
    };
    let file = File::open(folder).map_err(failed)?;
    let deadline = Instant::now() + LOCK_TIMEOUT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                sleep(Duration::from_millis(5));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(failed(std::io::Error::new(
                    IoErrorKind::TimedOut,
                    "another program has been writing there for too long",
                )));
            }
            // File systems on a network may have no locks for directories. Better to write
            // without than not at all.
            Err(TryLockError::Error(_)) => return Ok(None),
        }
    }
}

fn replace(path: &Path, folder: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // Made with mode 0600, under a name that was not there.
    let mut temporary = tempfile::Builder::new().prefix(".auth.json.").tempfile_in(folder)?;
    temporary.write_all(bytes)?;
    if let Ok(old) = path.metadata()
        && (old.uid(), old.gid()) != owner(temporary.as_file())?
    {
        // The superuser leaves the file to its owner; others cannot give files away.
        let _ = std::os::unix::fs::fchown(temporary.as_file(), Some(old.uid()), Some(old.gid()));
    }
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    // The new content is there; a file system that cannot sync directories does not undo that.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

fn owner(file: &File) -> std::io::Result<(u32, u32)> {
    let metadata = file.metadata()?;
    Ok((metadata.uid(), metadata.gid()))
}
