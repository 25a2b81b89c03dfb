//! Files that are replaced as a whole, or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind as IoErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use cask_files::fault;

use crate::{Durability, Error, ErrorKind, Result};

/// The most bytes of a JSON file of the store that are read.
pub(crate) const MAX_JSON_BYTES: u64 = 1 << 30;

/// Tells two states of a file apart: every change makes a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// The state of a file; `None` where there is none.
    pub(crate) fn at(path: &Path) -> Result<Option<Self>> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Some(Self::of(&metadata))),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(Error::io(error, "looking at", path)),
        }
    }
}

/// Whether an error says that there is no such file.
pub(crate) fn is_missing(error: &std::io::Error) -> bool {
    matches!(error.kind(), IoErrorKind::NotFound | IoErrorKind::NotADirectory)
}

/// Reads a file of up to `limit` bytes, with its state; `None` where there is none.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Option<(Vec<u8>, Stamp)>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(Error::io(error, "opening", path)),
    };
    let metadata = file.metadata().map_err(|error| Error::io(error, "looking at", path))?;
    if !metadata.is_file() {
        return Err(Error::new(ErrorKind::Corrupt, "reading", path.display())
            .with_detail("it is no regular file"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(limit)).unwrap_or(0) + 1);
    let mut limited = (&mut file).take(limit + 1);
    limited.read_to_end(&mut bytes).map_err(|error| Error::io(error, "reading", path))?;
    if bytes.len() as u64 > limit {
        return Err(Error::new(ErrorKind::LimitExceeded, "reading", path.display())
            .with_detail(format!("it has more than {limit} bytes")));
    }
    Ok(Some((bytes, Stamp::of(&metadata))))
}

/// Replaces a file: readers see the old bytes or the new ones.
///
/// Whoever calls this has a lock that keeps others from replacing the same file, so the new one is
/// called the same each time, and what a dead one left is written over. The new file is on the disk
/// before it gets its name, and the name is before this returns, unless the store was opened
/// without durability.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32, durability: Durability) -> Result<()> {
    let replacement = Replacement::write(path, bytes, mode)?;
    match durability {
        Durability::Full => {
            replacement.sync()?;
            replacement.put()?;
            sync_directory(path.parent().unwrap_or(Path::new("/")))
        }
        Durability::None => replacement.put(),
    }
}

/// A new file beside the one that it is about to replace. Dropped, it goes.
#[derive(Debug)]
pub(crate) struct Replacement {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
    has_its_name: AtomicBool,
}

impl Replacement {
    /// Writes it; nobody waits for the disk.
    pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<Self> {
        let temporary = temporary_path(path);
        let failed = |error| Error::io(error, "writing", &temporary);
        fault::step().map_err(failed)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(mode);
        let file = options.open(&temporary).map_err(failed)?;
        let has_its_name = AtomicBool::new(false);
        let this = Self { path: path.to_owned(), temporary: temporary.clone(), file, has_its_name };
        fault::step().and_then(|()| (&this.file).write_all(bytes)).map_err(failed)?;
        // The mode of an open is cut by the umask.
        rustix::fs::fchmod(&this.file, rustix::fs::Mode::from_raw_mode(mode))
            .map_err(|error| failed(error.into()))?;
        Ok(this)
    }

    /// Puts its bytes on the disk: without that a loss of power could leave an empty file.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|error| Error::io(error, "writing", &self.temporary))
    }

    /// Gives it its name; where that fails it can be tried again.
    pub(crate) fn put(&self) -> Result<()> {
        let old = File::open(&self.path);
        rename(&self.temporary, &self.path, "replacing")?;
        self.has_its_name.store(true, Ordering::Relaxed);
        let _ = old.map(cask_files::let_go);
        Ok(())
    }

    /// The directory that it gets its name in.
    pub(crate) fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !*self.has_its_name.get_mut() {
            // Whoever replaces the file next writes over it if this fails.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Does something with each, all at the same time: each waits for the disk anew.
pub(crate) fn at_once<T: Sync>(all: &[T], action: impl Fn(&T) -> Result<()> + Sync) -> Result<()> {
    let [others @ .., last] = all else { return Ok(()) };
    let action = &action;
    std::thread::scope(|scope| {
        let others: Vec<_> =
            others.iter().map(|other| scope.spawn(move || action(other))).collect();
        let last = action(last);
        let others = others.into_iter().map(|other| match other.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        others.chain([last]).collect()
    })
}

/// What [`replace`] calls a file before it has its name; also the peers' pattern.
pub(crate) const TEMPORARY_PREFIX: &str = ".tmp-";

fn temporary_path(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Names of big data may be as long as a file's name can be.
    let name: String = name.chars().take(64).collect();
    path.with_file_name(format!("{TEMPORARY_PREFIX}{name}-cask"))
}

/// Gives a file or a directory another name; the operation is for the error.
pub(crate) fn rename(from: &Path, to: &Path, operation: &'static str) -> Result<()> {
    let renamed = fault::step().and_then(|()| fs::rename(from, to));
    renamed.map_err(|error| Error::io(error, operation, to))
}

/// Gives a file a second name; what has that name already goes.
pub(crate) fn link(from: &Path, to: &Path) -> Result<()> {
    remove_if_there(to)?;
    let linked = fault::step().and_then(|()| fs::hard_link(from, to));
    linked.map_err(|error| Error::io(error, "linking", to))
}

/// Puts what a directory lists on the disk.
pub(crate) fn sync_directory(path: &Path) -> Result<()> {
    let synced =
        fault::step().and_then(|()| File::open(path)).and_then(|directory| directory.sync_all());
    synced.map_err(|error| Error::io(error, "syncing", path))
}

/// Puts a whole file system on the disk.
pub(crate) fn sync_file_system(path: &Path) -> Result<()> {
    let directory = fault::step().and_then(|()| File::open(path));
    let directory = directory.map_err(|error| Error::io(error, "opening", path))?;
    rustix::fs::syncfs(&directory).map_err(|error| Error::io(error, "syncing", path))
}

/// Puts the file systems of two directories on the disk: mostly they are one.
pub(crate) fn sync_file_systems(one: &Path, other: &Path) -> Result<()> {
    sync_file_system(one)?;
    if are_of_one_file_system(one, other) { Ok(()) } else { sync_file_system(other) }
}

/// Whether two directories are on one file system.
pub(crate) fn are_of_one_file_system(one: &Path, other: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).ok().map(|found| found.dev());
    device(one) == device(other)
}

/// Puts a directory of files on the disk, file by file: less than everything that others write.
pub(crate) fn sync_files(directory: &Path) -> Result<()> {
    let failed = |error| Error::io(error, "syncing", directory);
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let synced = fault::step().and_then(|()| File::open(&path)).and_then(|f| f.sync_all());
        synced.map_err(|error| Error::io(error, "syncing", &path))?;
    }
    sync_directory(directory)
}

/// Makes a directory and those above it, with a mode for the new ones.
pub(crate) fn make_directories(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let make = |()| fs::DirBuilder::new().recursive(true).mode(mode).create(path);
    let made = fault::step().and_then(make);
    made.map_err(|error| Error::io(error, "making the directory", path))
}

/// Deletes a file, if it is there.
pub(crate) fn remove_if_there(path: &Path) -> Result<()> {
    match fault::step().and_then(|()| fs::remove_file(path)) {
        Err(error) if !is_missing(&error) => Err(Error::io(error, "deleting", path)),
        _ => Ok(()),
    }
}
