//! What a place holds of one image, index or artifact.

use std::collections::BTreeSet;

use bytes::Bytes;
use cask_image::{Algorithm, Descriptor, Digest, Hasher, MediaType, RawManifest};

/// Bytes, and the descriptor that is said to be theirs.
///
/// In honest content the descriptor tells the truth: see [`is_honest`](Self::is_honest).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// The type, digest and size that others refer to the bytes by.
    pub descriptor: Descriptor,
    /// The bytes.
    pub bytes: Bytes,
}

impl Blob {
    /// Wraps bytes, with their SHA-256 digest.
    pub fn new(media_type: MediaType, bytes: impl Into<Bytes>) -> Self {
        Self::with_algorithm(media_type, bytes, Algorithm::Sha256)
    }

    /// Wraps bytes, with their digest by the given algorithm.
    pub fn with_algorithm(
        media_type: MediaType,
        bytes: impl Into<Bytes>,
        algorithm: Algorithm,
    ) -> Self {
        let bytes = bytes.into();
        let digest = Hasher::digest(algorithm, &bytes);
        Self { descriptor: Descriptor::new(media_type, digest, bytes.len() as u64), bytes }
    }

    /// The digest that the descriptor tells.
    pub fn digest(&self) -> &Digest {
        &self.descriptor.digest
    }

    /// Tells whether digest and size are those of the bytes.
    pub fn is_honest(&self) -> bool {
        let Descriptor { digest, size, .. } = &self.descriptor;
        *size == self.bytes.len() as u64
            && *digest == Hasher::digest(digest.algorithm(), &self.bytes)
    }
}

/// What a place holds of one image, index or artifact: everything that its top refers to, and
/// what that refers to in turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The descriptor of the top manifest or index.
    pub top: Descriptor,
    /// All manifests and indexes, children before parents, none twice. The top is among them.
    pub manifests: Vec<Blob>,
    /// All other blobs, none twice, in the order in which they are first referred to.
    pub blobs: Vec<Blob>,
}

impl Content {
    /// Makes content of a top and what lies below it.
    pub fn new(top: Blob, manifests: Vec<Blob>, blobs: Vec<Blob>) -> Self {
        let mut content =
            Self { top: top.descriptor.clone(), manifests: Vec::new(), blobs: Vec::new() };
        content.manifests.extend(manifests);
        content.manifests.push(top);
        content.blobs.extend(blobs);
        unique(&mut content.manifests);
        unique(&mut content.blobs);
        content
    }

    /// The manifest or index that is said to have this digest.
    pub fn manifest(&self, digest: &Digest) -> Option<&Blob> {
        self.manifests.iter().find(|manifest| manifest.digest() == digest)
    }

    /// The blob that is said to have this digest.
    pub fn blob(&self, digest: &Digest) -> Option<&Blob> {
        self.blobs.iter().find(|blob| blob.digest() == digest)
    }

    /// The bytes of the top manifest or index.
    ///
    /// # Panics
    /// If the content does not hold its top.
    pub fn top_bytes(&self) -> &Bytes {
        &self.manifest(&self.top.digest).expect("content holds its top").bytes
    }

    /// The top as other crates want it, with the digest of its bytes.
    ///
    /// # Panics
    /// If the content does not hold its top.
    pub fn raw_top(&self) -> RawManifest {
        RawManifest::with_algorithm(
            self.top_bytes().clone(),
            self.top.media_type.clone(),
            self.top.digest.algorithm(),
        )
    }

    /// Tells whether every descriptor is that of its bytes.
    pub fn is_honest(&self) -> bool {
        let top = self.manifest(&self.top.digest);
        top.is_some_and(|top| top.descriptor.size == self.top.size)
            && self.manifests.iter().chain(&self.blobs).all(Blob::is_honest)
    }

    /// How many bytes all of it has together.
    pub fn size_bytes(&self) -> u64 {
        self.manifests.iter().chain(&self.blobs).map(|blob| blob.bytes.len() as u64).sum()
    }
}

/// Keeps the first of blobs with one digest.
fn unique(blobs: &mut Vec<Blob>) {
    let mut seen = BTreeSet::new();
    blobs.retain(|blob| seen.insert(blob.digest().clone()));
}
