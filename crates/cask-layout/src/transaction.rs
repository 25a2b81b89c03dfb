//! Writing: everything or nothing.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use cask_image::{Algorithm, Descriptor, Digest, Hasher, RawManifest};

use crate::directory::Directory;
use crate::index::IndexDocument;
use crate::layout::BLOBS;
use crate::lock::{Lock, Mode};
use crate::state::{Created, State, remove_if_same, sync_parent};
use crate::store::write_index;
use crate::{BlobWriter, Durability, Error, ErrorKind, Layout, ReferenceName, Result};

/// How often to try again when somebody takes away the directories that are about to be used.
const ATTEMPTS: usize = 100;

/// How many bytes are copied at a time: 256 KiB.
const COPY_BYTES: usize = 256 << 10;

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
            let Some(root) = self.root_to_write(&mut created)? else { continue };
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
            let state = State::new(self.clone(), root, lock, shared, created);
            state.sweep()?;
            return Ok(LayoutTransaction(Arc::new(state)));
        }
        Err(Error::new(ErrorKind::NotFound, "opening", self.path().display())
            .with_detail("somebody has removed it"))
    }

    /// `None` if the directory was made, or found, and somebody has taken it away again.
    fn root_to_write(&self, created: &mut Created) -> Result<Option<Arc<Directory>>> {
        if !self.may_create() {
            return self.existing_root().map(Some);
        }
        // One that is being removed is found by its name a little longer. Making it waits until
        // the name is gone, where trying again would only find it again.
        let found = self.root()?;
        let removed = found.as_ref().map_or(Ok(true), |root| root.is_removed())?;
        if removed && self.has_path() {
            created.root |= Directory::create(self.path())?;
        }
        self.root()
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

    /// Takes a whole file as a blob, without reading it where the file system can give it a
    /// second name; else it is copied. The caller has checked its digest and writes to it no
    /// more.
    ///
    /// If the layout holds a blob of that digest and size, that one is kept. The blob gets its
    /// name at once, and loses it if the transaction ends without a commit.
    ///
    /// # Errors
    /// As [`BlobWriter::finish`].
    pub fn link_blob(&self, file: &File, descriptor: &Descriptor) -> Result<()> {
        let (digest, state) = (&descriptor.digest, &self.0);
        let fail = |error| Error::io(error, "linking blob", digest);
        let size = file.metadata().map_err(fail)?.len();
        if size != descriptor.size {
            return Err(Error::new(ErrorKind::SizeMismatch, "linking blob", digest)
                .with_detail(format!("Size mismatch, expected {}, got {size}", descriptor.size)));
        }
        if state.blob_size(digest)? == Some(size) || state.link(digest, file)? {
            return Ok(());
        }
        let mut writer = self.blob_writer()?;
        let mut buffer = vec![0; COPY_BYTES];
        let mut at = 0;
        loop {
            let read = file.read_at(&mut buffer, at).map_err(fail)?;
            if read == 0 {
                return writer.finish(descriptor);
            }
            writer.write_all(&buffer[..read]).map_err(fail)?;
            at += read as u64;
        }
    }

    /// Makes everything visible at once: the blobs get their names, then `index.json` lists the
    /// entries, added one after the other. Without entries, the index of a layout that exists is
    /// not touched.
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
        if !entries.is_empty() || !state.layout.exists()? {
            write_index(&state.layout, &state.root, |index| add_all(index, entries))?;
        }
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
