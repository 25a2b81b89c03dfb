//! Manifests as bytes: the bytes are the identity.

use bytes::Bytes;
use cask_reference::{Algorithm, Digest};

use crate::{Descriptor, Hasher, Manifest, ManifestError, MediaType, jws, manifest};

/// The most bytes that a manifest or an index may have: 4 MiB, as in the Go tools and registries.
pub const MAX_MANIFEST_BYTES: u64 = 4 << 20;

/// The most bytes that a config may have: 4 MiB, as in the Go tools.
pub const MAX_CONFIG_BYTES: u64 = 4 << 20;

/// The most layers that a manifest may have.
pub const MAX_LAYERS: usize = 10_000;

/// The most entries that an index may have.
pub const MAX_INDEX_ENTRIES: usize = 20_000;

/// The most levels that objects and arrays may be nested in a document.
pub const MAX_JSON_DEPTH: usize = 64;

/// The most values that a document may have, objects and arrays included: with the limit on bytes
/// it bounds the memory that parsing takes to about 20 MiB.
pub const MAX_JSON_VALUES: usize = 1 << 18;

/// A manifest or an index: its exact bytes, its media type and its digest.
///
/// Changing a manifest makes another value, with other bytes and another digest. Cloning is cheap.
///
/// The digest is that of all bytes, except for Docker's schema 1: there it is that of the bytes
/// without the signatures inside, which is how registries name such manifests. If those signatures
/// are malformed, it is that of all bytes, and [`parse`](Self::parse) refuses the manifest.
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
        let payload =
            if media_type.is_schema1() { jws::payload(&bytes).ok().flatten() } else { None };
        let digest = Hasher::digest(algorithm, payload.as_ref().unwrap_or(&bytes));
        Self { bytes, media_type, digest }
    }

    /// Wraps bytes of which nobody said what they are, and computes their SHA-256 digest.
    ///
    /// # Errors
    /// If the bytes are not JSON, or say nothing that tells the kinds of manifest apart.
    pub fn guess(bytes: impl Into<Bytes>) -> Result<Self, ManifestError> {
        let bytes = bytes.into();
        let media_type = MediaType::of_manifest(&bytes)?;
        Ok(Self::new(bytes, media_type))
    }

    /// Wraps bytes that came with a `Content-Type`, and computes their SHA-256 digest.
    ///
    /// A content type that is not a manifest's (registries behind file servers say `text/plain`)
    /// is ignored: then the bytes are what they look like. Parameters of the type are ignored too.
    ///
    /// # Errors
    /// Those of [`guess`](Self::guess), if the content type is of no use.
    pub fn received(
        bytes: impl Into<Bytes>,
        content_type: Option<&str>,
    ) -> Result<Self, ManifestError> {
        let essence = content_type.and_then(|text| text.split(';').next()).unwrap_or_default();
        let media_type = MediaType::from(essence.trim().to_ascii_lowercase().as_str());
        if media_type.is_manifest() {
            return Ok(Self::new(bytes, media_type));
        }
        Self::guess(bytes)
    }

    /// The exact bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The type of the document.
    pub fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// The digest that names the manifest.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// A descriptor of the manifest, with nothing but type, digest and size.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type.clone(), self.digest.clone(), self.bytes.len() as u64)
    }

    /// Whether a digest names this manifest, whatever its algorithm.
    pub fn matches(&self, digest: &Digest) -> bool {
        if digest.algorithm() == self.digest.algorithm() {
            return *digest == self.digest;
        }
        let rehashed =
            Self::with_algorithm(self.bytes.clone(), self.media_type.clone(), digest.algorithm());
        rehashed.digest == *digest
    }

    /// Parses the manifest.
    ///
    /// The parser is strict: a document that different readers could understand differently is
    /// refused, and every digest and size in what it returns is well-formed. See the crate's
    /// documentation for the rules and the limits.
    ///
    /// # Errors
    /// [`ManifestErrorKind`](crate::ManifestErrorKind) lists what can be wrong.
    pub fn parse(&self) -> Result<Manifest, ManifestError> {
        Manifest::read(self)
    }
}

impl MediaType {
    /// Finds out what kind of manifest some bytes are: by the media type that they say, or else by
    /// their version and fields.
    ///
    /// Only what tells the kinds apart is looked at; [`RawManifest::parse`] checks the rest.
    ///
    /// # Errors
    /// If the bytes are not JSON, or say nothing that tells the kinds apart.
    pub fn of_manifest(bytes: &[u8]) -> Result<Self, ManifestError> {
        manifest::guess(bytes)
    }
}
