//! The directory.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use cask_files::fault;
use cask_image::Hasher;
use cask_reference::{Algorithm, Digest, Repository};

use crate::hints::{Compressed, Hint, Hints};
use crate::locked::{Absent, Locked, make_directory};
use crate::{KeptUpload, Partial, TransferOptions};

/// How long it is remembered that a host did not answer: 10 minutes. Who asks decides whether that
/// is too long ago.
const SILENCE: Duration = Duration::from_secs(600);

/// The most hosts of which that is remembered.
const MOST_SILENT: usize = 256;

/// A directory of what transfers leave behind. Clones are cheap and share what they know.
///
/// All methods read or write the disk, if only a little.
#[derive(Clone, Debug)]
pub struct Transfers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    options: TransferOptions,
    hints: Mutex<Hints>,
}

impl Transfers {
    /// Names a directory. It is made when something is kept in it.
    pub fn new(root: impl Into<PathBuf>, options: TransferOptions) -> Self {
        let root = root.into();
        let hints = Mutex::new(Hints::new(root.join("known-blobs")));
        Self(Arc::new(Inner { root, options, hints }))
    }

    /// What is kept of a blob; `None` if nothing is, or somebody else is at it. If all of it is
    /// kept, it is read once to see that it has its digest.
    pub fn partial(&self, digest: &Digest, size_bytes: u64) -> Option<Partial> {
        let file = self.open(&self.partial_path(digest), Absent::Stays)?;
        let metadata = file.file().metadata().ok()?;
        if self.is_old(&metadata, SystemTime::now()) {
            file.remove();
            return None;
        }
        let mut partial = Partial::new(file, size_bytes);
        if !partial.may_become(digest) {
            partial.remove();
            return None;
        }
        Some(partial)
    }

    /// Begins to keep a blob; `None` if it is not to be kept: it is too large, the disk is too
    /// full, or somebody else is at it. Removes what is too old or too much.
    pub fn begin_partial(&self, digest: &Digest, size_bytes: u64) -> Option<Partial> {
        let directory = self.0.root.join("partial");
        logged(make_directory(&directory))?;
        let free = logged(rustix::fs::statvfs(&directory).map_err(io::Error::from))?;
        if size_bytes > free.f_bavail.saturating_mul(free.f_frsize) / 2 {
            return None;
        }
        self.make_room(&directory, size_bytes)?;
        let file = self.open(&self.partial_path(digest), Absent::IsMade)?;
        logged(fault::step().and_then(|()| file.file().set_len(0)))?;
        Some(Partial::new(file, size_bytes))
    }

    /// Forgets what is kept of a blob that is where it was to go, unless somebody else is at it.
    pub fn forget_partial(&self, digest: &Digest) {
        if let Some(file) = self.open(&self.partial_path(digest), Absent::Stays) {
            file.remove();
        }
    }

    /// An upload of a blob to a repository, begun or not; `None` if somebody else is at it.
    pub fn upload(&self, repository: &Repository, digest: &Digest) -> Option<KeptUpload> {
        let path = self.upload_path(repository, digest);
        let directory = path.parent().expect("joined below");
        logged(make_directory(directory))?;
        self.sweep(directory);
        self.open(&path, Absent::IsMade).map(KeptUpload::new)
    }

    /// Forgets an upload whose blob is there: whoever sent the last of it may have been killed
    /// before the answer came.
    pub fn forget_upload(&self, repository: &Repository, digest: &Digest) {
        if let Some(file) = self.open(&self.upload_path(repository, digest), Absent::Stays) {
            file.remove();
        }
    }

    /// Remembers hints.
    pub fn remember(&self, hints: &[Hint]) {
        logged(make_directory(&self.0.root));
        self.hints(|known| known.remember(hints));
    }

    /// Repositories of a registry where a blob was seen, the last one first.
    pub fn repositories_with(&self, digest: &Digest, registry: &str) -> Vec<Repository> {
        let mut found = self.hints(|known| known.repositories_with(digest));
        found.retain(|repository| repository.domain() == registry);
        found
    }

    /// Compressed forms that a plain layer had, the last one first.
    pub fn compressed(&self, diff_id: &Digest) -> Vec<Compressed> {
        self.hints(|known| known.compressed(diff_id))
    }

    /// Remembers that a host did not answer.
    pub fn note_silence(&self, host: &str) {
        let directory = self.0.root.join("silent");
        logged(make_directory(&directory));
        if self.sweep_silent(&directory) < MOST_SILENT {
            logged(std::fs::write(self.silent_path(host), b""));
        }
    }

    /// How long ago a host did not answer; `None` if nobody has told so lately.
    pub fn silent_for(&self, host: &str) -> Option<Duration> {
        let noted = std::fs::symlink_metadata(self.silent_path(host)).ok()?.modified().ok()?;
        // What is of the future says nothing.
        SystemTime::now().duration_since(noted).ok().filter(|since| *since <= SILENCE)
    }

    fn silent_path(&self, host: &str) -> PathBuf {
        let name = Hasher::digest(Algorithm::Sha256, host.as_bytes());
        self.0.root.join("silent").join(name.hex())
    }

    /// Removes what is too old to be of use, and tells how much is left.
    fn sweep_silent(&self, directory: &Path) -> usize {
        let now = SystemTime::now();
        let entries = logged(std::fs::read_dir(directory)).into_iter().flatten().flatten();
        let is_left = |path: &PathBuf| {
            let noted = std::fs::symlink_metadata(path).and_then(|found| found.modified());
            let is_fresh = noted
                .is_ok_and(|noted| now.duration_since(noted).is_ok_and(|since| since <= SILENCE));
            is_fresh || logged(std::fs::remove_file(path)).is_none()
        };
        entries.map(|entry| entry.path()).filter(is_left).count()
    }

    fn hints<T>(&self, ask: impl FnOnce(&mut Hints) -> T) -> T {
        ask(&mut self.0.hints.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn upload_path(&self, repository: &Repository, digest: &Digest) -> PathBuf {
        let key = format!("{repository} {digest}");
        let name = Hasher::digest(Algorithm::Sha256, key.as_bytes());
        self.0.root.join("uploads").join(name.hex())
    }

    fn partial_path(&self, digest: &Digest) -> PathBuf {
        self.0.root.join("partial").join(format!("{}-{}", digest.algorithm(), digest.hex()))
    }

    fn open(&self, path: &Path, absent: Absent) -> Option<Locked> {
        logged(Locked::open(path, absent)).flatten()
    }

    fn is_old(&self, metadata: &Metadata, now: SystemTime) -> bool {
        let age = metadata.modified().ok().and_then(|at| now.duration_since(at).ok());
        age.is_some_and(|age| age > self.0.options.age)
    }

    /// Removes what is too old, and then the oldest until so many more bytes may be kept; `None`
    /// if that is not enough.
    fn make_room(&self, directory: &Path, bytes: u64) -> Option<()> {
        let mut left = self.sweep(directory);
        left.sort_by_key(|(_, metadata)| metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH));
        let mut total: u64 = left.iter().map(|(_, metadata)| metadata.len()).sum();
        for (path, metadata) in left {
            if total.saturating_add(bytes) <= self.0.options.partial_bytes {
                break;
            }
            if let Some(file) = self.open(&path, Absent::Stays) {
                file.remove();
                total -= metadata.len();
            }
        }
        (total.saturating_add(bytes) <= self.0.options.partial_bytes).then_some(())
    }

    /// Removes what is too old and nobody uses, and gives the rest.
    fn sweep(&self, directory: &Path) -> Vec<(PathBuf, Metadata)> {
        let now = SystemTime::now();
        let entries = logged(std::fs::read_dir(directory)).into_iter().flatten().flatten();
        let files = entries.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)));
        let mut left = Vec::new();
        for (path, metadata) in files {
            let is_old = self.is_old(&metadata, now);
            match is_old.then(|| self.open(&path, Absent::Stays)).flatten() {
                Some(file) => file.remove(),
                None => left.push((path, metadata)),
            }
        }
        left
    }
}

/// Notes an error for whoever looks for one: nobody fails because nothing can be kept.
pub(crate) fn logged<T>(result: io::Result<T>) -> Option<T> {
    result.map_err(|error| tracing::debug!(%error, "something is not kept")).ok()
}
