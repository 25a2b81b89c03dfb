//! What a transaction has done, and how it is taken back.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cask_files::is_same;
use cask_image::{Algorithm, Descriptor, Digest};
use rustix::fs::{AtFlags, FileType, Stat};

use crate::directory::Directory;
use crate::graph::walk;
use crate::layout::BLOBS;
use crate::lock::Lock;
use crate::temp::{TempFile, sweep};
use crate::{Durability, Error, ErrorKind, Layout, Result};

/// How many finished blobs may wait for the commit. Each keeps a file open; with one more, all of
/// them get their names.
const MAX_WAITING: usize = 64;

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) layout: Layout,
    pub(crate) root: Arc<Directory>,
    /// On the layout's own directory of blobs.
    lock: Lock,
    /// The directory of shared blobs, if the options have one.
    shared: Option<Arc<Directory>>,
    created: Created,
    progress: Mutex<Progress>,
}

/// What did not exist before.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Created {
    pub(crate) root: bool,
    pub(crate) blobs: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Committed, or given up.
    pub(crate) closed: bool,
    pub(crate) committed: bool,
    /// Finished, and without a name.
    pub(crate) waiting: HashMap<Digest, TempFile>,
    /// Got their names from this transaction.
    named: HashSet<Digest>,
    directories: HashMap<Algorithm, Arc<Directory>>,
    created_directories: Vec<Algorithm>,
}

impl State {
    pub(crate) fn new(
        layout: Layout,
        root: Arc<Directory>,
        lock: Lock,
        shared: Option<Arc<Directory>>,
        created: Created,
    ) -> Self {
        Self { layout, root, lock, shared, created, progress: Mutex::default() }
    }

    pub(crate) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn durable(&self) -> bool {
        self.layout.options().durability == Durability::Power
    }

    pub(crate) fn sweep(&self) -> Result<()> {
        sweep(&self.root)?;
        self.shared.as_deref().map_or(Ok(()), sweep)
    }

    /// Where unfinished files are, and get a name if they need one.
    fn home(&self) -> &Arc<Directory> {
        self.shared.as_ref().unwrap_or(&self.root)
    }

    /// Where the directories of blobs are, one for each algorithm.
    fn blobs(&self) -> &Directory {
        self.shared.as_deref().unwrap_or(self.lock.directory())
    }

    pub(crate) fn create_file(&self) -> Result<TempFile> {
        let file = match TempFile::create(self.home()) {
            // Too many files are open: those that wait for the commit can have their names now.
            Err(error) if is_too_many_files(&error) => {
                let waiting = std::mem::take(&mut self.progress().waiting);
                if waiting.is_empty() {
                    return Err(error);
                }
                self.name_all(waiting)?;
                TempFile::create(self.home())?
            }
            result => result?,
        };
        Ok(if self.durable() { file.with_early_write_back() } else { file })
    }

    pub(crate) fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        if let Some(file) = self.progress().waiting.get(digest) {
            return Ok(Some(file.written_bytes()));
        }
        let Some(directory) = self.known_directory(digest.algorithm())? else { return Ok(None) };
        let found = directory.stat(digest.hex())?;
        // Whatever is no regular file is not the blob, and is replaced.
        let found = found.filter(is_regular);
        Ok(found.and_then(|stat| u64::try_from(stat.st_size).ok()))
    }

    pub(crate) fn check_written(&self, descriptor: &Descriptor) -> Result<()> {
        let fail =
            |kind, detail| Err(Error::new(kind, "listing", &descriptor.digest).with_detail(detail));
        match self.blob_size(&descriptor.digest)? {
            Some(size) if size == descriptor.size => Ok(()),
            Some(size) => fail(
                ErrorKind::SizeMismatch,
                format!("Size mismatch, expected {}, got {size}", descriptor.size),
            ),
            None => fail(ErrorKind::NotFound, "it was not written".to_owned()),
        }
    }

    /// Takes a finished blob.
    pub(crate) fn add(&self, digest: &Digest, size: u64, mut file: TempFile) -> Result<()> {
        if self.blob_size(digest)? == Some(size) {
            return Ok(());
        }
        file.begin_write_back();
        // Opened now, so that naming opens nothing: it is what helps when too many files are open.
        self.directory(digest.algorithm())?;
        let keep = self.layout.options().keep_finished_blobs;
        let to_name = {
            let mut progress = self.progress();
            if progress.closed {
                return Err(Error::new(ErrorKind::NotFound, "adding blob", digest)
                    .with_detail("its transaction has ended"));
            }
            progress.waiting.entry(digest.clone()).or_insert(file);
            if keep || progress.waiting.len() > MAX_WAITING {
                std::mem::take(&mut progress.waiting)
            } else {
                HashMap::new()
            }
        };
        self.name_all(to_name)
    }

    /// Gives a whole file the name of a blob. `false` if it has to be copied.
    pub(crate) fn link(&self, digest: &Digest, file: &File) -> Result<bool> {
        if self.progress().closed {
            return Err(Error::new(ErrorKind::NotFound, "adding blob", digest)
                .with_detail("its transaction has ended"));
        }
        if self.durable() {
            rustix::fs::fdatasync(file)
                .map_err(|error| Error::io(error, "synchronising", digest))?;
        }
        let directory = self.directory(digest.algorithm())?;
        let own = format!("/proc/self/fd/{}", file.as_raw_fd());
        let flags = AtFlags::SYMLINK_FOLLOW;
        let linked =
            rustix::fs::linkat(rustix::fs::CWD, own, directory.as_ref(), digest.hex(), flags);
        if linked.is_ok() {
            self.progress().named.insert(digest.clone());
        }
        // Another device, a file system without hard links or one that has no more of them, a
        // damaged blob that has the name: a copy goes where a link does not.
        Ok(linked.is_ok())
    }

    pub(crate) fn close(&self) -> Result<HashMap<Digest, TempFile>> {
        let mut progress = self.progress();
        progress.closed = true;
        Ok(std::mem::take(&mut progress.waiting))
    }

    /// Gives finished blobs their names, after their bytes are on the disk.
    pub(crate) fn name_all(&self, files: HashMap<Digest, TempFile>) -> Result<()> {
        if self.durable() {
            files.values().try_for_each(TempFile::sync)?;
        }
        files.into_iter().try_for_each(|(digest, file)| self.name(&digest, file))
    }

    /// Writes the names of blobs to the disk, of those too that others have written.
    pub(crate) fn sync_names(&self) -> Result<()> {
        let directories: Vec<_> = self.progress().directories.values().cloned().collect();
        directories.iter().try_for_each(|directory| directory.sync())?;
        self.blobs().sync()
    }

    fn name(&self, digest: &Digest, mut file: TempFile) -> Result<()> {
        let directory = self.directory(digest.algorithm())?;
        if file.link(&directory, digest.hex())? {
            self.progress().named.insert(digest.clone());
            return Ok(());
        }
        // Somebody else was quicker, or what is there is not what it should be.
        match directory.stat(digest.hex())?.filter(is_regular) {
            Some(stat) if u64::try_from(stat.st_size) == Ok(file.written_bytes()) => Ok(()),
            _ => file.replace(&directory, digest.hex()),
        }
    }

    /// The directory of the blobs of an algorithm; `None` if there is none.
    fn known_directory(&self, algorithm: Algorithm) -> Result<Option<Arc<Directory>>> {
        if let Some(directory) = self.progress().directories.get(&algorithm) {
            return Ok(Some(Arc::clone(directory)));
        }
        let Some(directory) = self.blobs().subdirectory(algorithm.as_str())? else {
            return Ok(None);
        };
        let mut progress = self.progress();
        let known = progress.directories.entry(algorithm).or_insert(Arc::new(directory));
        Ok(Some(Arc::clone(known)))
    }

    /// The directory of the blobs of an algorithm, which is made if there is none.
    fn directory(&self, algorithm: Algorithm) -> Result<Arc<Directory>> {
        if let Some(directory) = self.known_directory(algorithm)? {
            return Ok(directory);
        }
        if self.blobs().create_subdirectory(algorithm.as_str())? {
            self.progress().created_directories.push(algorithm);
        }
        self.known_directory(algorithm)?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "opening", self.blobs().describe(algorithm.as_str()))
                .with_detail("somebody has just removed it")
        })
    }

    /// Writes the name of a new layout to the disk.
    pub(crate) fn sync_parent(&self) -> Result<()> {
        if !(self.durable() && self.created.root) {
            return Ok(());
        }
        sync_parent(self.layout.path())
    }

    /// Takes back what was done, as far as nobody else may rely on it.
    fn roll_back(&self, progress: &Progress) -> Result<()> {
        // Others who write at the same time may have found blobs of ours and count on them.
        if !self.lock.try_upgrade() {
            return Ok(());
        }
        if self.shared.is_none() && !self.layout.options().keep_finished_blobs {
            self.remove_unneeded(progress)?;
        }
        for algorithm in &progress.created_directories {
            self.blobs().remove_directory(algorithm.as_str())?;
        }
        let empty = self.created.blobs && self.root.remove_directory(BLOBS)?;
        if empty && self.created.root {
            remove_if_same(&self.root)?;
        }
        Ok(())
    }

    fn remove_unneeded(&self, progress: &Progress) -> Result<()> {
        if progress.named.is_empty() {
            return Ok(());
        }
        let reached = walk(&self.layout, self.layout.list()?, |_| true, |_| ())?;
        if !reached.unreadable.is_empty() {
            return Ok(());
        }
        for digest in progress.named.difference(&reached.digests) {
            self.directory(digest.algorithm())?.unlink(digest.hex())?;
        }
        Ok(())
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let progress = std::mem::take(&mut *self.progress());
        if !progress.committed {
            // What cannot be taken back is litter that `collect_garbage` finds; there is nobody
            // to tell.
            let _ = self.roll_back(&progress);
        }
    }
}

/// Writes the name of a new directory to the disk.
pub(crate) fn sync_parent(path: &Path) -> Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = Directory::open(parent.unwrap_or(Path::new(".")))?;
    parent.map_or(Ok(()), |parent| parent.sync())
}

/// Removes an empty directory by its path, if that still names it.
pub(crate) fn remove_if_same(root: &Directory) -> Result<()> {
    let fail = |error| Error::io(error, "removing", root.path().display());
    let own = rustix::fs::fstat(root).map_err(fail)?;
    let named = rustix::fs::lstat(root.path()).map_err(fail)?;
    if is_same(&own, &named) {
        rustix::fs::rmdir(root.path()).map_err(fail)?;
    }
    Ok(())
}

fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

fn is_too_many_files(error: &Error) -> bool {
    let source = std::error::Error::source(error).and_then(|s| s.downcast_ref::<std::io::Error>());
    source.is_some_and(|source| {
        source.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error())
    })
}
