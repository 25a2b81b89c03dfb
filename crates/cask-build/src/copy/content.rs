//! The content of files that nobody must change meanwhile.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use cask_image::{Algorithm, Hasher};

use super::CopyTools;
use super::select::Selection;
use crate::stat_cache::Known;
use crate::view::{Status, Walker, shown};
use crate::{Error, ErrorKind, Result};

/// How much is read at a time.
pub(super) const BUFFER_BYTES: usize = 256 << 10;

/// How many files a thread takes at a time.
const BATCH: usize = 32;

/// A file that is read: it must be, from beginning to end, the one that was described.
pub(super) struct Content<'s> {
    file: File,
    path: &'s [u8],
    status: &'s Status,
    left: u64,
}

impl<'s> Content<'s> {
    /// Opens a file.
    ///
    /// # Errors
    /// [`ErrorKind::Mismatch`] where it is not the described one any more.
    pub(super) fn open(walker: &mut Walker, path: &'s [u8], status: &'s Status) -> Result<Self> {
        let file = walker.open(path)?;
        let content = Self { file, path, status, left: status.size_bytes };
        content.check()?;
        Ok(content)
    }

    /// The file itself.
    pub(super) fn into_file(self) -> File {
        self.file
    }

    /// Reads the next bytes; none at the end, when all were there and the file is still the same.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.left == 0 {
            self.check()?;
            return Ok(0);
        }
        loop {
            match self.file.read(buffer) {
                Ok(0) => return Err(self.changed(self.status.size_bytes - self.left)),
                Ok(count) if count as u64 > self.left => {
                    let longer = self.status.size_bytes - self.left + count as u64;
                    return Err(self.changed(longer));
                }
                Ok(count) => {
                    self.left -= count as u64;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    /// Compares what the file is now with what it was.
    fn check(&self) -> Result<()> {
        let now = self.file.metadata().map_err(|error| self.failed(error))?;
        let was = self.status;
        let is_same = (now.dev(), now.ino(), now.len()) == (was.device, was.inode, was.size_bytes)
            && (now.mtime(), now.mtime_nsec())
                == (was.modified.seconds, i64::from(was.modified.nanoseconds))
            && (now.ctime(), now.ctime_nsec())
                == (was.changed.seconds, i64::from(was.changed.nanoseconds));
        if is_same { Ok(()) } else { Err(self.changed(now.len())) }
    }

    fn changed(&self, now: u64) -> Error {
        changed(self.path, self.status.size_bytes, now)
    }

    fn failed(&self, error: io::Error) -> Error {
        Error::new(ErrorKind::Io, shown(self.path), "cannot be read").with_source(error)
    }
}

/// That a file is not what it was.
pub(super) fn changed(path: &[u8], was: u64, now: u64) -> Error {
    let how = match was == now {
        true => "its content is another one".to_owned(),
        false => format!("it had {was} bytes and has {now}"),
    };
    let detail = format!("was changed while it was copied: {how}");
    Error::new(ErrorKind::Mismatch, shown(path), detail)
        .with_hint("let nobody write to the context while it is built from")
}

/// A file to hash: its selection and its number there.
type Job = (usize, usize);

/// What came of it.
type Hashed = (Job, [u8; 32], Vec<(Vec<u8>, Vec<u8>)>);

/// Finds the digests of all files: in the stat cache, or by reading them, on several threads.
pub(super) fn hash(selections: &mut [Selection], tools: &CopyTools<'_>) -> Result<()> {
    let mut jobs = Vec::new();
    for (number, selection) in selections.iter_mut().enumerate() {
        for (index, entry) in selection.entries.iter_mut().enumerate() {
            if !entry.status.is_file() {
                continue;
            }
            match tools.stat_cache.and_then(|cache| cache.lookup(&entry.status)) {
                Some(known) if !known.has_xattrs => entry.sha256 = Some(known.sha256),
                _ => jobs.push((number, index)),
            }
        }
    }
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if tools.threads == 0 { available } else { tools.threads };
    let threads = threads.min(jobs.len().div_ceil(BATCH)).max(1);
    let next = AtomicUsize::new(0);
    let (jobs, shared) = (&jobs, &*selections);
    let results: Vec<Result<Vec<Hashed>>> = match threads {
        1 => vec![work(shared, jobs, &next, tools)],
        _ => std::thread::scope(|scope| {
            let work = || work(shared, jobs, &next, tools);
            let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            handles.into_iter().map(join).collect()
        }),
    };
    let mut failure: Option<Error> = None;
    for result in results {
        match result {
            Ok(found) => {
                for ((number, index), sha256, xattrs) in found {
                    let entry = &mut selections[number].entries[index];
                    (entry.sha256, entry.xattrs) = (Some(sha256), xattrs);
                }
            }
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    failure.map_or(Ok(()), Err)
}

fn join<T>(handle: std::thread::ScopedJoinHandle<'_, T>) -> T {
    handle.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload))
}

/// One thread: takes batches until none is left, or something fails.
fn work(
    selections: &[Selection],
    jobs: &[Job],
    next: &AtomicUsize,
    tools: &CopyTools<'_>,
) -> Result<Vec<Hashed>> {
    let mut found = Vec::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut walker: Option<(usize, Walker)> = None;
    loop {
        let start = next.fetch_add(BATCH, Ordering::Relaxed);
        let Some(batch) = jobs.get(start..jobs.len().min(start + BATCH)) else { return Ok(found) };
        if batch.is_empty() {
            return Ok(found);
        }
        for job in batch {
            let selection = &selections[job.0];
            let walker = match &mut walker {
                Some((number, walker)) if *number == job.0 => walker,
                other => &mut other.insert((job.0, selection.view.walker())).1,
            };
            match one(selection, job.1, walker, &mut buffer, tools) {
                Ok((sha256, xattrs)) => found.push((*job, sha256, xattrs)),
                Err(error) => {
                    // The others need not go on.
                    next.store(jobs.len(), Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
    }
}

type Read1 = ([u8; 32], Vec<(Vec<u8>, Vec<u8>)>);

fn one(
    selection: &Selection,
    index: usize,
    walker: &mut Walker,
    buffer: &mut [u8],
    tools: &CopyTools<'_>,
) -> Result<Read1> {
    let entry = &selection.entries[index];
    let path = selection.path(entry);
    let began = SystemTime::now();
    let xattrs = walker.xattrs(&path)?;
    if let Some(known) = tools.stat_cache.and_then(|cache| cache.lookup(&entry.status)) {
        return Ok((known.sha256, xattrs));
    }
    let mut content = Content::open(walker, &path, &entry.status)?;
    let mut hasher = Hasher::new(Algorithm::Sha256);
    loop {
        match content.read(buffer)? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    let sha256 = sha256(hasher);
    if let Some(cache) = tools.stat_cache {
        let known = Known { sha256, has_xattrs: !xattrs.is_empty() };
        cache.learn(&entry.status, known, began);
    }
    Ok((sha256, xattrs))
}

/// The bytes of a SHA-256 digest.
pub(super) fn sha256(hasher: Hasher) -> [u8; 32] {
    let digest = hasher.finish();
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digest.hex().as_bytes().chunks_exact(2)) {
        let nibble = |digit: u8| (digit as char).to_digit(16).and_then(|n| u8::try_from(n).ok());
        *byte = nibble(pair[0]).unwrap_or(0) << 4 | nibble(pair[1]).unwrap_or(0);
    }
    bytes
}
