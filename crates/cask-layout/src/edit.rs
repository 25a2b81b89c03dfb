//! Names and deletion.

use std::collections::HashSet;
use std::sync::Arc;

use cask_image::{Algorithm, Descriptor, Digest};

use crate::content::Content as _;
use crate::directory::Directory;
use crate::graph::Reached;
use crate::store::write_index;
use crate::temp::sweep;
use crate::{Durability, Entry, Error, ErrorKind, Layout, ReferenceName, Result, Selector};

/// What was removed from a layout.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Removed {
    /// The entries that `index.json` does not list any more.
    pub entries: Vec<Entry>,
    /// The blobs that are gone.
    pub blobs: Vec<Digest>,
    /// How many bytes those had.
    pub freed_bytes: u64,
    /// Why no blob was removed, if some manifest of an image that stays cannot be read: nobody
    /// knows what it needs.
    pub unreadable: Vec<Error>,
}

impl Layout {
    /// Gives a name to a manifest that the layout holds. Another image that has the name loses
    /// it; names that the image has already stay.
    ///
    /// The new entry says what the first one of the same digest says. Where nothing lists the
    /// manifest, it is what the descriptor says.
    ///
    /// # Errors
    /// `NotFound` if the layout does not hold the manifest, `SizeMismatch` if it holds another;
    /// `Locked`, `Corrupt`, `LimitExceeded`, `Unsafe`, `Denied`, `Io`.
    pub fn tag(&self, manifest: &Descriptor, name: &ReferenceName) -> Result<()> {
        let root = self.existing_root()?;
        sweep(&root)?;
        write_index(self, &root, |index| {
            let size = self.open_blob(&manifest.digest)?.1;
            if size != manifest.size {
                return Err(Error::new(ErrorKind::SizeMismatch, "tagging", &manifest.digest)
                    .with_detail(format!(
                        "Size mismatch, expected {}, got {size}",
                        manifest.size
                    )));
            }
            let listed = index.entries().position(|entry| entry.digest == manifest.digest);
            match listed {
                Some(position) => index.add_name(position, name),
                None => index.add(manifest, Some(name)),
            }
        })
    }

    /// Takes a name away. The image stays, without a name if it has no other.
    ///
    /// # Errors
    /// `NotFound` if `index.json` has no such name; `Locked`, `Corrupt`, `Unsafe`, `Denied`, `Io`.
    pub fn untag(&self, name: &str) -> Result<()> {
        let root = self.existing_root()?;
        sweep(&root)?;
        write_index(self, &root, |index| {
            if index.remove_name(name) {
                return Ok(());
            }
            Err(Error::new(ErrorKind::NotFound, "untagging", self.path().display())
                .with_detail(format!("no descriptor found for reference {name:?}")))
        })
    }

    /// Deletes an image: its entry, and the blobs that no entry needs any more. By digest, all
    /// entries of that digest; otherwise one entry, and other names of the same image stay.
    ///
    /// An image needs its configs, layers and what its indexes list. It does not need the subject
    /// that it refers to; what refers to it are images of their own and stay. In a directory of
    /// shared blobs nothing is deleted.
    ///
    /// Waits until nobody writes.
    ///
    /// Source: containers/image, `oci/layout/oci_delete.go`.
    ///
    /// # Errors
    /// As [`resolve`](crate::Content::resolve); `Unsupported` if only another index lists the image;
    /// `Locked`, `LimitExceeded`, `Denied`, `Io`.
    pub fn delete(&self, selector: Selector<'_>) -> Result<Removed> {
        let root = self.existing_root()?;
        let lock = self.lock_blobs_exclusively(&root)?;
        sweep(&root)?;
        let plan = write_index(self, &root, |index| {
            let entry = self.resolve(selector)?;
            if entry.depth > 0 {
                return Err(part_of_another(&entry));
            }
            let gone = |other: &Entry| match selector {
                Selector::Digest(digest) => other.descriptor.digest == *digest,
                _ => other.position == entry.position,
            };
            let (gone, stay): (Vec<_>, Vec<_>) = index.to_entries().into_iter().partition(gone);
            let plan = Plan::new(self, gone, stay)?;
            index.remove(&plan.positions());
            Ok(plan)
        })?;
        // The index comes first: a blob too many is better than an image without its blobs.
        plan.execute(self, lock.directory())
    }

    /// Deletes one manifest and all its entries, names included. What it needs stays: configs and
    /// layers, and what an index lists, as registries do it. Its own bytes stay too if another
    /// image needs them; they are then still found by digest.
    ///
    /// Waits until nobody writes.
    ///
    /// # Errors
    /// `NotFound` if `index.json` has no entry of that digest; `Unsupported` if only an index
    /// lists it; `Locked`, `LimitExceeded`, `Denied`, `Io`.
    pub fn delete_manifest(&self, digest: &Digest) -> Result<Removed> {
        let root = self.existing_root()?;
        let lock = self.lock_blobs_exclusively(&root)?;
        sweep(&root)?;
        let plan = write_index(self, &root, |index| {
            let entry = self.resolve(Selector::Digest(digest))?;
            if entry.depth > 0 {
                return Err(part_of_another(&entry));
            }
            let (gone, stay): (Vec<_>, Vec<_>) = index
                .to_entries()
                .into_iter()
                .partition(|other| other.descriptor.digest == *digest);
            let needed = self.needed(stay)?;
            let keep = needed.digests.contains(digest) || !needed.unreadable.is_empty();
            let unneeded = if keep { Vec::new() } else { vec![digest.clone()] };
            let plan = Plan { entries: gone, unneeded, unreadable: needed.unreadable };
            index.remove(&plan.positions());
            Ok(plan)
        })?;
        plan.execute(self, lock.directory())
    }

    /// Deletes one blob that no image needs. In a directory of shared blobs nothing is deleted.
    ///
    /// Waits until nobody writes.
    ///
    /// # Errors
    /// `NotFound` if the layout does not hold it; `Unsupported` if an image needs it; as
    /// [`collect_garbage`](Self::collect_garbage) if nobody knows.
    pub fn delete_blob(&self, digest: &Digest) -> Result<Removed> {
        let root = self.existing_root()?;
        let lock = self.lock_blobs_exclusively(&root)?;
        self.open_blob(digest)?;
        let mut needed = self.needed(self.list()?)?;
        if needed.digests.contains(digest) {
            return Err(Error::new(ErrorKind::Unsupported, "deleting blob", digest)
                .with_detail("an image needs it")
                .with_hint("delete the image first"));
        }
        if !needed.unreadable.is_empty() {
            return Err(needed.unreadable.swap_remove(0));
        }
        Plan { unneeded: vec![digest.clone()], ..Plan::default() }.execute(self, lock.directory())
    }

    /// Removes all blobs that no entry of `index.json` needs, and what dead writers left. In a
    /// directory of shared blobs nothing is deleted.
    ///
    /// Waits until nobody writes; that is, nobody who uses this crate. Tools that take no lock,
    /// such as skopeo, must not write at the same time.
    ///
    /// # Errors
    /// `Corrupt`, `DigestMismatch`, `SizeMismatch` or `LimitExceeded` if some manifest cannot be
    /// read; then nothing is removed. `Locked`, `Unsafe`, `Denied`, `Io`.
    pub fn collect_garbage(&self) -> Result<Removed> {
        let root = self.existing_root()?;
        let lock = self.lock_blobs_exclusively(&root)?;
        sweep(&root)?;
        let mut needed = self.needed(self.list()?)?;
        if !needed.unreadable.is_empty() {
            return Err(needed.unreadable.swap_remove(0));
        }
        let blobs = lock.directory();
        let mut unneeded = Vec::new();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512] {
            let Some(directory) = blobs.subdirectory(algorithm.as_str())? else { continue };
            let found = directory.names()?.into_iter();
            let found = found.filter_map(|name| format!("{algorithm}:{name}").parse().ok());
            unneeded.extend(found.filter(|digest| !needed.digests.contains(digest)));
        }
        Plan { unneeded, ..Plan::default() }.execute(self, blobs)
    }
}

fn part_of_another(entry: &Entry) -> Error {
    Error::new(ErrorKind::Unsupported, "deleting", &entry.descriptor.digest)
        .with_detail("it is a part of another index")
        .with_hint(format!("delete the whole, which is @{}", entry.position))
}

/// What a deletion will remove.
#[derive(Default)]
struct Plan {
    entries: Vec<Entry>,
    unneeded: Vec<Digest>,
    unreadable: Vec<Error>,
}

impl Plan {
    fn new(layout: &Layout, entries: Vec<Entry>, stay: Vec<Entry>) -> Result<Self> {
        let needed = layout.needed(stay)?;
        if !needed.unreadable.is_empty() {
            let Reached { unreadable, .. } = needed;
            return Ok(Self { entries, unneeded: Vec::new(), unreadable });
        }
        // What cannot be read of the image itself is not known to need anything.
        let gone: HashSet<Digest> = layout.needed(entries.clone())?.digests;
        let unneeded = gone.difference(&needed.digests).cloned().collect();
        Ok(Self { entries, unneeded, unreadable: Vec::new() })
    }

    fn positions(&self) -> Vec<usize> {
        self.entries.iter().map(|entry| entry.position).collect()
    }

    fn execute(self, layout: &Layout, blobs: &Directory) -> Result<Removed> {
        let mut removed =
            Removed { entries: self.entries, unreadable: self.unreadable, ..Removed::default() };
        let mut directories: Vec<Arc<Directory>> = Vec::new();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512] {
            let Some(directory) = blobs.subdirectory(algorithm.as_str())? else { continue };
            let unneeded = self.unneeded.iter().filter(|digest| digest.algorithm() == algorithm);
            for digest in unneeded {
                let size = directory.stat(digest.hex())?.map_or(0, |stat| stat.st_size);
                if directory.unlink(digest.hex())? {
                    removed.blobs.push(digest.clone());
                    removed.freed_bytes += u64::try_from(size).unwrap_or(0);
                }
            }
            directories.push(Arc::new(directory));
        }
        if layout.options().durability == Durability::Power && !removed.blobs.is_empty() {
            directories.iter().try_for_each(|directory| directory.sync())?;
        }
        Ok(removed)
    }
}
