//! Manifests as bytes: the bytes are the identity.

use bytes::Bytes;
use cask_reference::{Algorithm, Digest};

use crate::{Descriptor, Hasher, MediaType};

/// The most bytes that a manifest or an index may have: 4 MiB, as in the Go tools and registries.
pub const MAX_MANIFEST_BYTES: u64 = 4 << 20;

/// The most bytes that a config may have: 4 MiB, as in the Go tools.
pub const MAX_CONFIG_BYTES: u64 = 4 << 20;

/// A manifest or an index: its exact bytes, its media type and its digest.
///
/// Nothing in here is parsed. Changing a manifest makes another value, with other bytes and
/// another digest. Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawManifest {
    bytes: Bytes,
    media_type: MediaType,
    digest: Digest,
}

impl RawManifest {
    /// Wraps bytes and computes their SHA-256 digest.
    pub fn new(bytes: impl Into<Bytes>, media_type: MediaType) -> Self {
        Self::with_algorithm(bytes, media_type, Algorithm::Sha256)
    }

    /// Wraps bytes and computes their digest by the given algorithm.
    pub fn with_algorithm(
        bytes: impl Into<Bytes>,
        media_type: MediaType,
        algorithm: Algorithm,
    ) -> Self {
        let bytes = bytes.into();
        let digest = Hasher::digest(algorithm, &bytes);
        Self { bytes, media_type, digest }
    }

    /// The exact bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The type of the document.
    pub fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// The digest of the bytes.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// A descriptor of the manifest, with nothing but type, digest and size.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type.clone(), self.digest.clone(), self.bytes.len() as u64)
    }
}
