//! The blobs that layers came as, kept beside the store so that they can be given away as they came.
//!
//! A layer that is put together again has the bytes of its tar stream, not those of the blob:
//! whoever wants that compresses once more, and gets another digest. Within a budget, blobs are kept
//! in a directory that peers ignore. Nothing depends on them: whoever needs room deletes them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cask_files::fault;
use cask_image::{Algorithm, Digest, Hasher};
use cask_layer::{Compression, MeasuredRead};

use crate::names::IMAGE_PLACE;
use crate::place::Place;
use crate::reserve::own_directory;
use crate::store::Inner;
use crate::{Durability, Result, Store, file};

/// The part of what is free that blobs may take, whatever the budget: one in so many.
///
/// A share of what is free and not of the whole file system: on a disk that is nearly full they are
/// few, and never what fills it.
const SHARE_OF_FREE: u64 = 4;

/// After so many bytes it is asked again whether there is room.
const STEP_BYTES: u64 = 16 << 20;

/// How many bytes tell how a stream is compressed.
const HEAD_BYTES: usize = 16;

/// A blob that no layer came as may belong to one that is on its way: for so long.
const ON_ITS_WAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A blob that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptBlob {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Where it is.
    pub path: PathBuf,
    /// When it was last stored or read.
    pub used: SystemTime,
    /// Whether a layer of the store came as it.
    pub is_of_layer: bool,
}

impl Store {
    /// Opens the blob that a layer came as, where it is kept; it stays readable when it is deleted.
    ///
    /// Its digest was compared when it was stored; whoever trusts nobody compares it again.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`](crate::ErrorKind::Denied) and [`ErrorKind::Io`](crate::ErrorKind::Io).
    pub fn open_kept_blob(&self, digest: &Digest) -> Result<Option<File>> {
        for place in &self.inner.places {
            let path = path(place, digest);
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if file::is_missing(&error) => continue,
                Err(error) => return Err(crate::Error::io(error, "opening", &path)),
            };
            if !place.read_only {
                // What is used stays longest; who may not say so reads it all the same.
                let _ = file.set_modified(SystemTime::now());
            }
            return Ok(Some(file));
        }
        Ok(None)
    }

    /// The blobs that are kept, the one that was used last first.
    pub fn kept_blobs(&self) -> Vec<KeptBlob> {
        let mut blobs: Vec<KeptBlob> = list(&self.inner.places[IMAGE_PLACE])
            .into_iter()
            .map(|mut blob| {
                blob.is_of_layer = self.is_of_layer(&blob.digest);
                blob
            })
            .collect();
        blobs.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.path.cmp(&b.path)));
        blobs
    }

    /// Deletes the blobs that are kept; says how many bytes that freed.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`](crate::ErrorKind::ReadOnly),
    /// [`ErrorKind::Denied`](crate::ErrorKind::Denied) and [`ErrorKind::Io`](crate::ErrorKind::Io).
    pub fn delete_kept_blobs(&self) -> Result<u64> {
        self.check_writable()?;
        let mut freed = 0;
        for blob in list(&self.inner.places[IMAGE_PLACE]) {
            file::remove_if_there(&blob.path)?;
            freed += blob.size_bytes;
        }
        Ok(freed)
    }

    /// Deletes a blob that is kept, whatever needs it: one that is not what its name says.
    ///
    /// # Errors
    /// As [`delete_kept_blobs`](Self::delete_kept_blobs); none is no error.
    pub fn delete_kept_blob(&self, digest: &Digest) -> Result<()> {
        self.check_writable()?;
        file::remove_if_there(&path(&self.inner.places[IMAGE_PLACE], digest))
    }

    /// How many bytes the file system of the layers has left for the user.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`](crate::ErrorKind::Denied) and [`ErrorKind::Io`](crate::ErrorKind::Io).
    pub fn available_bytes(&self) -> Result<u64> {
        let path = self.inner.places[IMAGE_PLACE].driver_directory();
        let found = rustix::fs::statvfs(&path);
        let found = found.map_err(|error| crate::Error::io(error, "looking at", &path))?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    /// Deletes what nothing needs of the blobs that are kept, and the oldest beyond the budget. That
    /// it fails is no reason for anything to fail.
    pub(crate) fn trim_kept_blobs(&self) {
        let blobs = self.kept_blobs();
        let budget = self.inner.kept_budget(&blobs);
        let mut sum = 0;
        for blob in blobs {
            let age = blob.used.elapsed().unwrap_or_default();
            let is_needed = blob.is_of_layer || age < ON_ITS_WAY;
            sum += blob.size_bytes;
            if sum > budget || !is_needed {
                sum -= blob.size_bytes;
                let _ = file::remove_if_there(&blob.path);
            }
        }
    }

    /// Deletes blobs unless a layer came as them: whose layers were just deleted.
    pub(crate) fn forget_kept_blobs(&self, digests: &[Digest]) {
        for digest in digests {
            if !self.is_of_layer(digest) {
                let _ = file::remove_if_there(&path(&self.inner.places[IMAGE_PLACE], digest));
            }
        }
    }

    /// Whether a layer of the store came as this blob; where that cannot be known, it did.
    fn is_of_layer(&self, digest: &Digest) -> bool {
        !self.layers_by_compressed_digest(digest).is_ok_and(|layers| layers.is_empty())
    }
}

impl Inner {
    /// The most bytes that blobs may take, as things are: beside these, which are kept.
    fn kept_budget(&self, kept: &[KeptBlob]) -> u64 {
        let own: u64 = kept.iter().map(|blob| blob.size_bytes).sum();
        let free = free_bytes(self.places[IMAGE_PLACE].root());
        self.options.kept_blobs.budget_bytes.min(free.saturating_add(own) / SHARE_OF_FREE)
    }
}

/// What is wrong with a blob that is kept: every byte is read.
pub(crate) fn wrong(blob: &KeptBlob) -> Option<String> {
    let mut hasher = Hasher::new(blob.digest.algorithm());
    let file = File::open(&blob.path).ok()?;
    if let Err(error) = hasher.update_from(file) {
        return Some(error.to_string());
    }
    let found = hasher.finish();
    (found != blob.digest).then(|| format!("the blob that is kept has the digest {found}"))
}

/// Where blobs are kept.
pub(crate) fn directory(place: &Place) -> PathBuf {
    own_directory(place.root()).join("blobs")
}

fn path(place: &Place, digest: &Digest) -> PathBuf {
    let text = digest.to_string();
    let (algorithm, hex) = text.split_once(':').expect("every digest has its algorithm before it");
    directory(place).join(algorithm).join(hex)
}

pub(crate) fn list(place: &Place) -> Vec<KeptBlob> {
    let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
    let mut found = Vec::new();
    for algorithm in entries(&directory(place)) {
        for entry in entries(&algorithm.path()) {
            let text = [algorithm.file_name(), entry.file_name()].map(|name| name.into_string());
            let [Ok(algorithm), Ok(hex)] = text else { continue };
            let Ok(digest) = format!("{algorithm}:{hex}").parse::<Digest>() else { continue };
            let Ok(metadata) = entry.metadata() else { continue };
            let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let size_bytes = metadata.size();
            let path = entry.path();
            found.push(KeptBlob { digest, size_bytes, path, used, is_of_layer: false });
        }
    }
    found
}

/// Reads a stream and writes down what comes, if it is compressed and as long as there is room.
pub(crate) struct Keeper<R> {
    stream: R,
    path: PathBuf,
    limit: u64,
    head: Vec<u8>,
    state: State,
}

enum State {
    /// How it is compressed is not known yet.
    Beginning,
    /// It is written down: so many bytes so far.
    Writing(File, u64),
    /// It is not.
    Given,
}

impl<R: Read> Keeper<R> {
    /// Begins; `path` has nothing yet, `size` is that of the stream where it is known.
    pub(crate) fn new(
        store: &Inner,
        stream: R,
        path: PathBuf,
        (digest, size): (Option<&Digest>, Option<u64>),
    ) -> Self {
        let place = &store.places[IMAGE_PLACE];
        let budget = match store.options.kept_blobs.budget_bytes {
            0 => 0,
            _ => store.kept_budget(&list(place)),
        };
        let is_kept = |digest| self::path(place, digest).exists();
        let keeps = size.unwrap_or(1).max(1) <= budget && !digest.is_some_and(is_kept);
        let state = if keeps { State::Beginning } else { State::Given };
        Self { stream, path, limit: budget, head: Vec::new(), state }
    }

    fn see(&mut self, bytes: &[u8]) {
        if matches!(self.state, State::Beginning) {
            self.head.extend_from_slice(bytes);
            if self.head.len() >= HEAD_BYTES || bytes.is_empty() {
                self.begin();
            }
            return;
        }
        self.write(bytes);
    }

    /// Decides by the first bytes: a plain stream can be put together from its files.
    fn begin(&mut self) {
        let head = std::mem::take(&mut self.head);
        self.state = State::Given;
        if Compression::detect(&head) == Compression::None {
            return;
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        if let Ok(file) = fault::step().and_then(|()| options.open(&self.path)) {
            self.state = State::Writing(file, 0);
            self.write(&head);
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        let State::Writing(file, written) = &mut self.state else { return };
        let before = *written;
        *written += bytes.len() as u64;
        let asks = before / STEP_BYTES != *written / STEP_BYTES;
        let goes_on = *written <= self.limit
            && (!asks || has_room(&self.path, *written))
            && file.write_all(bytes).is_ok();
        if !goes_on {
            self.give_up();
        }
    }

    /// Nobody depends on it.
    fn give_up(&mut self) {
        if let State::Writing(..) = std::mem::replace(&mut self.state, State::Given) {
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Gives what was written down its place: it has this digest.
    pub(crate) fn keep(mut self, store: &Inner, digest: &Digest) {
        let State::Writing(file, _) = &self.state else { return };
        let place = &store.places[IMAGE_PLACE];
        let path = path(place, digest);
        let durable = match store.options.durability {
            Durability::Full => file.sync_data(),
            Durability::None => Ok(()),
        };
        let parent = path.parent().unwrap_or(Path::new("/"));
        let kept = durable.is_ok()
            && file::make_directories(parent, 0o700).is_ok()
            && file::rename(&self.path, &path, "keeping").is_ok();
        if !kept {
            self.give_up();
        }
    }
}

impl<R: Read> Read for Keeper<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        if !buffer.is_empty() {
            self.see(&buffer[..count]);
        }
        Ok(count)
    }
}

impl<R: MeasuredRead> MeasuredRead for Keeper<R> {
    fn algorithm(&self) -> Algorithm {
        self.stream.algorithm()
    }

    fn measured(&self) -> Option<(Digest, u64)> {
        self.stream.measured()
    }
}

/// Whether what was written is still a small part of what is free: others write too, and the
/// layer's files need more room than its blob.
fn has_room(path: &Path, written: u64) -> bool {
    free_bytes(path.parent().unwrap_or(path)) / SHARE_OF_FREE >= written
}

/// How many bytes a file system has left for the user; none where that cannot be known.
fn free_bytes(path: &Path) -> u64 {
    let found = rustix::fs::statvfs(path);
    found.map_or(0, |found| found.f_bavail.saturating_mul(found.f_frsize))
}
