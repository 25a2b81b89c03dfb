//! Writing: everything or nothing.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cask_image::{Algorithm, Descriptor, Digest, Hasher, RawManifest};
use rustix::fs::{FileType, Stat};

use crate::directory::{Directory, identity};
use crate::graph::walk;
use crate::index::IndexDocument;
use crate::layout::BLOBS;
use crate::lock::{Lock, Mode};
use crate::store::write_index;
use crate::temp::{TempFile, sweep};
use crate::{BlobWriter, Durability, Error, ErrorKind, Layout, ReferenceName, Result};

/// How many finished blobs may wait for the commit. Each keeps a file open; what is more gets its
/// name at once.
const MAX_WAITING: usize = 64;

/// How often to try again when somebody takes away the directories that are about to be used.
const ATTEMPTS: usize = 100;

/// Something that is written to a layout. Nothing of it can be seen before
/// [`commit`](Self::commit); dropped without, nothing remains.
///
/// While it lives, nothing can be deleted from the layout; others can write. It can be used from
/// several threads. A thread that holds a transaction and deletes waits for itself for ever,
/// unless the options have a time limit for locks.
#[derive(Debug)]
pub struct LayoutTransaction(Arc<State>);

/// An image that a commit adds to `index.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// What names the manifest or index. All of it is written; containers/image writes type,
    /// digest and size only. A name in its annotations is replaced.
    pub descriptor: Descriptor,
    /// The name to give. Another image that has the name loses it.
    pub name: Option<ReferenceName>,
}

#[derive(Debug)]
pub(crate) struct State {
    layout: Layout,
    root: Arc<Directory>,
    /// On the layout's own directory of blobs.
    lock: Lock,
    /// The directory of shared blobs, if the options have one.
    shared: Option<Arc<Directory>>,
    created: Created,
    progress: Mutex<Progress>,
}

/// What did not exist before.
#[derive(Clone, Copy, Debug, Default)]
struct Created {
    root: bool,
    blobs: bool,
}

#[derive(Debug, Default)]
struct Progress {
    /// Committed, or given up.
    closed: bool,
    committed: bool,
    /// Finished, and without a name.
    waiting: HashMap<Digest, TempFile>,
    /// Got their names from this transaction.
    named: HashSet<Digest>,
    directories: HashMap<Algorithm, Arc<Directory>>,
    created_directories: Vec<Algorithm>,
}

impl Layout {
    /// Begins to write. Makes the layout's directory, and `blobs` in it, if they do not exist, and
    /// removes what dead writers left.
    ///
    /// # Errors
    /// `NotFound` if the layout's parent directory (or the shared directory's) does not exist;
    /// `Locked` if somebody deletes for longer than the options allow; `Unsafe`, `Denied`, `Io`.
    pub fn begin(&self) -> Result<LayoutTransaction> {
        let shared = self.shared_to_write()?;
        let mut created = Created::default();
        for _ in 0..ATTEMPTS {
            let root = self.root_to_write(&mut created)?;
            let lock = match self.lock_blobs(&root, &mut created, Mode::Shared) {
                Ok(Some(lock)) => lock,
                Ok(None) if self.may_create() => continue,
                Ok(None) => break,
                Err(error) => {
                    if created.root {
                        // Only an empty one goes. The first error is the one to tell.
                        let _ = remove_if_same(&root);
                    }
                    return Err(error);
                }
            };
            let (layout, progress) = (self.clone(), Mutex::default());
            let state = State { layout, root, lock, shared, created, progress };
            state.sweep()?;
            return Ok(LayoutTransaction(Arc::new(state)));
        }
        Err(Error::new(ErrorKind::NotFound, "opening", self.path().display())
            .with_detail("somebody has removed it"))
    }

    fn root_to_write(&self, created: &mut Created) -> Result<Arc<Directory>> {
        if self.may_create() && self.root()?.is_none() {
            created.root |= Directory::create(self.path())?;
        }
        self.existing_root()
    }

    fn shared_to_write(&self) -> Result<Option<Arc<Directory>>> {
        if let Some(path) = &self.options().shared_blob_dir
            && self.shared()?.is_none()
            && Directory::create(path)?
            && self.options().durability == Durability::Power
        {
            sync_parent(path)?;
        }
        self.shared()
    }

    /// Locks the directory of blobs, which is made if it does not exist. `None` if it was removed
    /// in the meantime.
    fn lock_blobs(
        &self,
        root: &Directory,
        created: &mut Created,
        mode: Mode,
    ) -> Result<Option<Lock>> {
        if root.is_removed()? {
            return Ok(None);
        }
        created.blobs |= match root.create_subdirectory(BLOBS) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            result => result?,
        };
        let Some(blobs) = root.subdirectory(BLOBS)? else { return Ok(None) };
        let lock = Lock::acquire(&blobs, mode, self.options())?;
        // A transaction that ended while this one waited may have taken the directory away.
        Ok(blobs.is_still(root, BLOBS)?.then_some(lock))
    }

    /// Keeps everybody out who writes or deletes blobs.
    pub(crate) fn lock_blobs_exclusively(&self, root: &Directory) -> Result<Lock> {
        self.lock_blobs(root, &mut Created::default(), Mode::Exclusive)?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "opening", root.describe(BLOBS))
                .with_detail("somebody has just removed it")
        })
    }
}

impl LayoutTransaction {
    /// The size in bytes of a blob that is there already, in the layout or among what this
    /// transaction has written; `None` if there is none. Its bytes are not checked.
    ///
    /// # Errors
    /// `Denied`, `Io`.
    pub fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        self.0.blob_size(digest)
    }

    /// Begins a blob.
    ///
    /// # Errors
    /// `Denied`, `Io`.
    pub fn blob_writer(&self) -> Result<BlobWriter> {
        Ok(BlobWriter::new(Arc::clone(&self.0), self.0.create_file()?))
    }

    /// Writes a small blob, which is hashed here by SHA-256.
    ///
    /// # Errors
    /// As [`BlobWriter::finish`].
    pub fn write_bytes(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Hasher::digest(Algorithm::Sha256, bytes);
        self.write_blob(&digest, bytes)?;
        Ok(digest)
    }

    /// Writes a manifest or an index. [`commit`](Self::commit) lists it, if asked to.
    ///
    /// # Errors
    /// As [`BlobWriter::finish`].
    pub fn write_manifest(&self, manifest: &RawManifest) -> Result<()> {
        self.write_blob(manifest.digest(), manifest.bytes())
    }

    fn write_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        let size = bytes.len() as u64;
        if self.blob_size(digest)? == Some(size) {
            return Ok(());
        }
        let mut file = self.0.create_file()?;
        file.write_all(bytes).map_err(|error| Error::io(error, "writing blob", digest))?;
        self.0.add(digest, size, file)
    }

    /// Makes everything visible at once: the blobs get their names, then `index.json` lists the
    /// entries, added one after the other.
    ///
    /// An entry is added as containers/image does it. Another one that has the name loses it and
    /// stays. One of the same digest without a name is what the new one replaces; what it said
    /// besides type, digest and size is kept. Fields and entries that others wrote stay, in their
    /// order. Without entries, the blobs are there and nothing lists them.
    ///
    /// # Errors
    /// `NotFound` or `SizeMismatch` if the manifest of an entry is not in the layout; `Corrupt` if
    /// `index.json` is malformed, or a descriptor cannot be written; `LimitExceeded` if the index
    /// would be too large; `Locked`, `Unsafe`, `Denied`, `Io`. Then nothing became visible.
    pub fn commit(self, entries: &[NewEntry]) -> Result<()> {
        let state = &self.0;
        for entry in entries {
            state.check_written(&entry.descriptor)?;
        }
        let waiting = state.close()?;
        state.name_all(waiting)?;
        if state.durable() {
            state.sync_names()?;
        }
        write_index(&state.layout, &state.root, |index| add_all(index, entries))?;
        // From here on it is visible, whatever happens.
        state.progress().committed = true;
        state.sync_parent()
    }
}

fn add_all(index: &mut IndexDocument, entries: &[NewEntry]) -> Result<()> {
    entries.iter().try_for_each(|entry| index.add(&entry.descriptor, entry.name.as_ref()))
}

impl Drop for LayoutTransaction {
    fn drop(&mut self) {
        // Writers may still be at work elsewhere; what they finish is not taken any more.
        let mut progress = self.0.progress();
        progress.closed = true;
        progress.waiting.clear();
    }
}

impl State {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn durable(&self) -> bool {
        self.layout.options().durability == Durability::Power
    }

    fn sweep(&self) -> Result<()> {
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

    fn create_file(&self) -> Result<TempFile> {
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

    fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        if let Some(file) = self.progress().waiting.get(digest) {
            return Ok(Some(file.written_bytes()));
        }
        let Some(directory) = self.known_directory(digest.algorithm())? else { return Ok(None) };
        let found = directory.stat(digest.hex())?;
        // Whatever is no regular file is not the blob, and is replaced.
        let found = found.filter(is_regular);
        Ok(found.and_then(|stat| u64::try_from(stat.st_size).ok()))
    }

    fn check_written(&self, descriptor: &Descriptor) -> Result<()> {
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

    fn close(&self) -> Result<HashMap<Digest, TempFile>> {
        let mut progress = self.progress();
        progress.closed = true;
        Ok(std::mem::take(&mut progress.waiting))
    }

    /// Gives finished blobs their names, after their bytes are on the disk.
    fn name_all(&self, files: HashMap<Digest, TempFile>) -> Result<()> {
        if self.durable() {
            files.values().try_for_each(TempFile::sync)?;
        }
        files.into_iter().try_for_each(|(digest, file)| self.name(&digest, file))
    }

    /// Writes the names of blobs to the disk, of those too that others have written.
    fn sync_names(&self) -> Result<()> {
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
    fn sync_parent(&self) -> Result<()> {
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
fn sync_parent(path: &Path) -> Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = Directory::open(parent.unwrap_or(Path::new(".")))?;
    parent.map_or(Ok(()), |parent| parent.sync())
}

/// Removes an empty directory by its path, if that still names it.
fn remove_if_same(root: &Directory) -> Result<()> {
    let fail = |error| Error::io(error, "removing", root.path().display());
    let own = rustix::fs::fstat(root).map_err(fail)?;
    let named = rustix::fs::lstat(root.path()).map_err(fail)?;
    if identity(&own) == identity(&named) {
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
