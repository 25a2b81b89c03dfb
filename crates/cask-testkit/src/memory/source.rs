//! Reading.

use async_trait::async_trait;
use cask_image::{Descriptor, Digest};
use cask_transport::{
    Error, ErrorKind, Location as _, Measured, Result, Selector, Signature, Source, UnverifiedBlob,
    UnverifiedManifest,
};

use super::behaviour::{Behaviour, Lie};
use super::bytes;
use super::call::Call;
use super::location::MemoryLocation;
use super::shelf::Shelf;

/// A shelf that is read.
pub(super) struct MemorySource {
    pub(super) location: MemoryLocation,
}

impl MemorySource {
    fn read<T>(&self, read: impl FnOnce(&Shelf, &Behaviour) -> Result<T>) -> Result<T> {
        let state = self.location.store.state();
        match state.shelves.get(&self.location.shelf) {
            Some(shelf) => read(shelf, &state.behaviour),
            None => Err(Error::new(ErrorKind::NotFound, "reading", &self.location)),
        }
    }
}

fn no_blob(digest: &Digest) -> Error {
    Error::new(ErrorKind::NotFound, "reading blob", digest)
}

#[async_trait]
impl Source for MemorySource {
    async fn resolve(&self, selector: &Selector) -> Result<Descriptor> {
        self.location.store.call(Call::Resolve);
        let by_digest = match (selector, &self.location) {
            (Selector::Digest(digest), _) => Some(digest),
            (Selector::Chosen, location) => {
                location.reference().and_then(|reference| reference.digest())
            }
            _ => None,
        };
        self.read(|shelf, _| match by_digest {
            Some(digest) => shelf.descriptor(digest),
            None => shelf
                .find(selector, self.location.name.as_deref())
                .map(|position| shelf.entries[position].top.clone()),
        })
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<UnverifiedManifest> {
        self.location.store.call(Call::Manifest(descriptor.digest.clone()));
        self.read(|shelf, behaviour| {
            let digest = &descriptor.digest;
            let held = shelf
                .manifests
                .get(digest)
                .ok_or_else(|| Error::new(ErrorKind::NotFound, "reading manifest", digest))?;
            let mut bytes = held.bytes.to_vec();
            match behaviour.lies.get(digest) {
                Some(Lie::OtherBytes) => bytes.last_mut().into_iter().for_each(|last| *last = b' '),
                Some(Lie::Truncated(size)) => bytes.truncate(*size),
                Some(Lie::Longer) => bytes.push(b'\n'),
                Some(Lie::Endless) => bytes.resize(16 << 20, b' '),
                Some(Lie::Missing | Lie::Breaks | Lie::Stalls) => {
                    return Err(Error::new(ErrorKind::NotFound, "reading manifest", digest));
                }
                None => {}
            }
            Ok(UnverifiedManifest::new(bytes).with_media_type(held.descriptor.media_type.clone()))
        })
    }

    async fn blob(&self, descriptor: &Descriptor, offset: u64) -> Result<UnverifiedBlob> {
        let digest = &descriptor.digest;
        self.location.store.call(Call::Blob { digest: digest.clone(), offset });
        self.read(|shelf, behaviour| {
            let lie = behaviour.lies.get(digest).copied();
            let held = shelf.blobs.get(digest).filter(|_| lie != Some(Lie::Missing));
            let held = held.ok_or_else(|| no_blob(digest))?;
            Ok(bytes::blob(&held.bytes, offset, lie, behaviour))
        })
    }

    async fn held_layers(&self, manifest: &Descriptor) -> Result<Option<Vec<Measured>>> {
        Ok(self.location.store.state().behaviour.held.get(&manifest.digest).cloned())
    }

    async fn blob_size(&self, digest: &Digest) -> Result<u64> {
        self.location.store.call(Call::BlobSize(digest.clone()));
        self.read(|shelf, _| {
            let held = shelf.blobs.get(digest).ok_or_else(|| no_blob(digest))?;
            Ok(held.bytes.len() as u64)
        })
    }

    async fn signatures(&self, manifest: &Descriptor) -> Result<Vec<Signature>> {
        self.location.store.call(Call::Signatures(manifest.digest.clone()));
        self.read(|shelf, _| {
            Ok(shelf.signatures.get(&manifest.digest).cloned().unwrap_or_default())
        })
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        self.location.store.call(Call::Referrers(subject.clone()));
        let knows = self.location.store.state().capabilities.referrers;
        self.read(|shelf, _| Ok(if knows { shelf.referrers(subject) } else { Vec::new() }))
    }
}
