//! Blobs that are on their way in.
//!
//! An upload is a file in a directory of the server's own below the root. Its name says to which
//! repository it belongs, so that another process of the server can go on with it. What was hashed
//! already is known only to the process that hashed it; another one reads the file once.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use cask_image::{Algorithm, Digest, Hasher};
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::clock::{age, random_hex};
use crate::refusal::Refusal;
use crate::store::{DIRECTORY, names, open_file};
use crate::{Error, ErrorKind, RefusalCode, RepositoryName, Result};

/// The directory of unfinished uploads. No repository's name begins with a dot.
const DIRECTORY_NAME: &str = ".cask-uploads";

/// How often old uploads are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// How many hex digits name an upload: 128 random bits.
const ID_DIGITS: usize = 32;

/// How many bytes are read at a time to hash a file: 256 KiB.
const READ_BYTES: usize = 256 << 10;

/// All uploads of a registry.
#[derive(Debug)]
pub(crate) struct Uploads {
    /// Made by the first upload.
    root: OwnedFd,
    directory: Mutex<Option<Arc<OwnedFd>>>,
    active: Mutex<Active>,
    max_uploads: usize,
    lifetime: Duration,
}

#[derive(Debug, Default)]
struct Active {
    sessions: HashMap<String, Arc<Session>>,
    swept: Option<Instant>,
}

/// One upload.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    file_name: String,
    directory: Arc<OwnedFd>,
    pub(crate) file: File,
    /// Held by the request that writes.
    pub(crate) progress: Arc<tokio::sync::Mutex<Progress>>,
}

/// How far an upload is.
pub(crate) struct Progress {
    pub(crate) size: u64,
    /// `None` if another process has written a part.
    pub(crate) hasher: Option<Hasher>,
    /// Finished or given up: nothing may be written any more.
    pub(crate) closed: bool,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress").field("size", &self.size).finish_non_exhaustive()
    }
}

impl Uploads {
    pub(crate) fn new(root: OwnedFd, max_uploads: usize, lifetime: Duration) -> Self {
        let (directory, active) = (Mutex::default(), Mutex::default());
        Self { root, directory, active, max_uploads, lifetime }
    }

    /// Begins an upload.
    pub(crate) fn begin(&self, repository: &RepositoryName) -> Result<Arc<Session>, Refusal> {
        let directory = self.directory(true).map_err(internal)?.ok_or_else(gone)?;
        self.sweep_sometimes(&directory);
        if self.active().sessions.len() >= self.max_uploads {
            return Err(Refusal::new(RefusalCode::TooManyRequests, "too many unfinished uploads")
                .with_header(http::header::RETRY_AFTER, "60"));
        }
        let id = random_hex::<{ ID_DIGITS / 2 }>();
        let file_name = file_name(&id, repository);
        let file =
            open_file(&directory, &file_name, OFlags::CREATE | OFlags::EXCL).map_err(internal)?;
        lock(&file).map_err(internal)?;
        let progress =
            Progress { size: 0, hasher: Some(Hasher::new(Algorithm::Sha256)), closed: false };
        let progress = Arc::new(tokio::sync::Mutex::new(progress));
        let session = Arc::new(Session { id: id.clone(), file_name, directory, file, progress });
        self.active().sessions.insert(id, Arc::clone(&session));
        Ok(session)
    }

    /// Finds an upload, also one that another process of the server has left.
    pub(crate) fn find(
        &self,
        repository: &RepositoryName,
        id: &str,
    ) -> Result<Arc<Session>, Refusal> {
        let is_id = id.len() == ID_DIGITS
            && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_id {
            return Err(gone());
        }
        let file_name = file_name(id, repository);
        if let Some(session) = self.active().sessions.get(id) {
            // The upload of another repository does not exist in this one.
            return if session.file_name == file_name {
                Ok(Arc::clone(session))
            } else {
                Err(gone())
            };
        }
        let directory = self.directory(false).map_err(internal)?.ok_or_else(gone)?;
        let Some((file, size)) = reopen(&directory, &file_name).map_err(internal)? else {
            return Err(gone());
        };
        let hasher = (size == 0).then(|| Hasher::new(Algorithm::Sha256));
        let progress = Progress { size, hasher, closed: false };
        let progress = Arc::new(tokio::sync::Mutex::new(progress));
        let session = Arc::new(Session { id: id.to_owned(), file_name, directory, file, progress });
        self.active().sessions.insert(id.to_owned(), Arc::clone(&session));
        Ok(session)
    }

    /// Forgets an upload and removes its file.
    pub(crate) fn remove(&self, session: &Session) {
        self.active().sessions.remove(&session.id);
        // What cannot be removed is swept later.
        let _ = rustix::fs::unlinkat(&*session.directory, &session.file_name, AtFlags::empty());
    }

    /// Removes the directory if nothing is in it.
    pub(crate) fn close(&self) {
        self.active().sessions.clear();
        let _ = rustix::fs::unlinkat(&self.root, DIRECTORY_NAME, AtFlags::REMOVEDIR);
    }

    /// Removes old uploads that nobody writes. Called at the start, too.
    pub(crate) fn sweep(&self) -> Result<()> {
        let fail = |error: Errno| Error::io(error, "looking into", DIRECTORY_NAME);
        match self.directory(false) {
            Ok(None) => Ok(()),
            Ok(Some(directory)) => self.sweep_directory(&directory).map_err(fail),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                Err(Error::new(ErrorKind::Unsafe, "opening", DIRECTORY_NAME)
                    .with_detail("it is no directory"))
            }
            Err(error) => Err(fail(error)),
        }
    }

    fn sweep_sometimes(&self, directory: &OwnedFd) {
        let mut active = self.active();
        if active.swept.is_none_or(|last| last.elapsed() > SWEEP_INTERVAL) {
            active.swept = Some(Instant::now());
            drop(active);
            // Litter does no harm but take space; the next time may go better.
            let _ = self.sweep_directory(directory);
        }
    }

    fn sweep_directory(&self, directory: &OwnedFd) -> rustix::io::Result<()> {
        self.active().sessions.retain(|_, session| {
            let busy = Arc::strong_count(session) > 1;
            let old = session.file.metadata().and_then(|found| found.modified());
            busy || old.is_ok_and(|time| age(time) <= self.lifetime)
        });
        for name in names(directory)? {
            let Ok(Some((file, _))) = reopen(directory, &name) else { continue };
            let Ok(modified) = file.metadata().and_then(|found| found.modified()) else { continue };
            if self.is_over(modified) {
                let _ = rustix::fs::unlinkat(directory, &name, AtFlags::empty());
            }
        }
        Ok(())
    }

    fn is_over(&self, modified: SystemTime) -> bool {
        age(modified) > self.lifetime
    }

    fn active(&self) -> MutexGuard<'_, Active> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn directory(&self, create: bool) -> rustix::io::Result<Option<Arc<OwnedFd>>> {
        let mut known = self.directory.lock().unwrap_or_else(PoisonError::into_inner);
        let exists =
            |directory: &OwnedFd| rustix::fs::fstat(directory).is_ok_and(|stat| stat.st_nlink > 0);
        if let Some(directory) = known.as_ref().filter(|directory| exists(directory)) {
            return Ok(Some(Arc::clone(directory)));
        }
        if create {
            match rustix::fs::mkdirat(&self.root, DIRECTORY_NAME, Mode::from_raw_mode(0o700)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
        }
        match rustix::fs::openat(
            &self.root,
            DIRECTORY_NAME,
            DIRECTORY | OFlags::NOFOLLOW,
            Mode::empty(),
        ) {
            Ok(directory) => Ok(Some(Arc::clone(known.insert(Arc::new(directory))))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Session {
    /// Writes at the end of what is there. Blocking.
    pub(crate) fn write(&self, at: u64, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_all_at(bytes, at)
    }

    /// The digest of the whole file. Blocking.
    pub(crate) fn hash(&self, algorithm: Algorithm, size: u64) -> std::io::Result<Digest> {
        let mut hasher = Hasher::new(algorithm);
        let mut buffer = vec![0; READ_BYTES];
        while hasher.len() < size {
            let left = usize::try_from(size - hasher.len()).unwrap_or(READ_BYTES).min(READ_BYTES);
            match self.file.read_at(&mut buffer[..left], hasher.len())? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                read => hasher.update(&buffer[..read]),
            }
        }
        Ok(hasher.finish())
    }
}

fn gone() -> Refusal {
    Refusal::new(RefusalCode::BlobUploadUnknown, "blob upload unknown to registry")
}

fn internal(error: Errno) -> Refusal {
    Refusal::internal(format!("{DIRECTORY_NAME}: {error}"))
}

/// The name of an upload's file: its own, and a hash of the repository's.
fn file_name(id: &str, repository: &RepositoryName) -> String {
    let hash = Hasher::digest(Algorithm::Sha256, repository.as_str().as_bytes());
    format!("{id}-{}", &hash.hex()[..32])
}

fn lock(file: &File) -> rustix::io::Result<()> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        // Where files cannot be locked, nobody else should serve.
        Err(Errno::WOULDBLOCK) => Err(Errno::WOULDBLOCK),
        _ => Ok(()),
    }
}

/// Opens a file that another process has left; `None` if there is none or somebody writes it.
///
/// One that has a second name already is a blob, which must not be written any more: only its
/// upload's name remained to be removed.
fn reopen(directory: &OwnedFd, name: &str) -> rustix::io::Result<Option<(File, u64)>> {
    let file = match open_file(directory, name, OFlags::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT | Errno::LOOP | Errno::NXIO | Errno::ISDIR) => return Ok(None),
        Err(error) => return Err(error),
    };
    let stat = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || lock(&file).is_err() {
        return Ok(None);
    }
    // Looked at again: what was locked may have got another name or lost its own just before.
    let stat = rustix::fs::fstat(&file)?;
    if stat.st_nlink > 1 {
        let _ = rustix::fs::unlinkat(directory, name, AtFlags::empty());
    }
    if stat.st_nlink != 1 {
        return Ok(None);
    }
    Ok(Some((file, u64::try_from(stat.st_size).unwrap_or(0))))
}
