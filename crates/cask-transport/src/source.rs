//! Reading: what an implementer supplies.

use async_trait::async_trait;
use bytes::Bytes;
use cask_image::{Descriptor, Digest, MediaType};

use crate::{Error, ErrorKind, Measured, Result, UnverifiedBlob};

/// Which image of a place is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selector {
    /// What the location itself says: its tag, name, position, or the only image there is.
    #[default]
    Chosen,
    /// The image of this name.
    Name(String),
    /// The manifest or index of this digest.
    Digest(Digest),
    /// The image at this position, counted from zero.
    Position(usize),
}

/// The bytes of a manifest that nobody has checked yet.
///
/// Only [`VerifiedSource`](crate::VerifiedSource) can look inside.
#[derive(Debug)]
pub struct UnverifiedManifest {
    pub(crate) bytes: Bytes,
    pub(crate) media_type: Option<MediaType>,
}

impl UnverifiedManifest {
    /// Hands over bytes as they were read.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), media_type: None }
    }

    /// Adds the type that the place gave with the bytes, such as a `Content-Type`.
    #[must_use]
    pub fn with_media_type(mut self, media_type: MediaType) -> Self {
        self.media_type = Some(media_type);
        self
    }
}

/// A signature that is stored beside a manifest, in the form of the lookaside files.
///
/// Source: containers/image, `docs/containers-registries.d.5.md` and the `dir:` transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The stored bytes: OpenPGP, or `\0sigstore-json\n` and a JSON document.
    pub bytes: Bytes,
}

/// A place to read images from, after it was opened. Usable from several tasks at once.
///
/// Implementers read and do not verify: callers only ever see a
/// [`VerifiedSource`](crate::VerifiedSource), which checks digest, size and limits of everything.
#[async_trait]
pub trait Source: Send + Sync {
    /// Resolves a selector to the descriptor of a manifest or an index.
    ///
    /// # Errors
    /// `NotFound` if there is no such image, `InvalidLocation` if several could be meant.
    async fn resolve(&self, selector: &Selector) -> Result<Descriptor>;

    /// Resolves what the location says without reading the manifest, for callers that want nothing
    /// but the digest; `None` where it may as well be read. Registries count who reads.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    async fn look_up(&self) -> Result<Option<Descriptor>> {
        Ok(None)
    }

    /// Reads a manifest or an index. The implementer bounds how much it reads by the descriptor's
    /// size and [`MAX_MANIFEST_BYTES`](cask_image::MAX_MANIFEST_BYTES).
    ///
    /// # Errors
    /// `NotFound` if there is no such manifest.
    async fn manifest(&self, descriptor: &Descriptor) -> Result<UnverifiedManifest>;

    /// Opens a blob, with its first `offset` bytes left out.
    ///
    /// # Errors
    /// `NotFound` if there is no such blob.
    async fn blob(&self, descriptor: &Descriptor, offset: u64) -> Result<UnverifiedBlob>;

    /// The layers of an image as this place has them, in the order of its manifest, where it keeps
    /// them in another form than the one that the manifest names: a store keeps them unpacked, and
    /// gives the plain tars. `None` where the manifest names what is there.
    ///
    /// # Errors
    /// As for reading the manifest.
    async fn held_layers(&self, _manifest: &Descriptor) -> Result<Option<Vec<Measured>>> {
        Ok(None)
    }

    /// Takes note that a layer that was read to its end is the plain layer of this digest,
    /// compressed: whoever copied it has unpacked it and compared. A place may know the one for
    /// the other when it is written to.
    fn learn_unpacked(&self, _layer: &Descriptor, _diff_id: &Digest) {}

    /// Takes note that a blob is where it was to go, whoever brought it there. What the place keeps
    /// of it for who tries again is of no use any more.
    fn settle(&self, _blob: &Descriptor) {}

    /// The size of a blob in bytes, for the one kind of manifest that does not tell: schema 1.
    ///
    /// # Errors
    /// `NotFound` if there is no such blob; `Unsupported` where schema 1 cannot be.
    async fn blob_size(&self, digest: &Digest) -> Result<u64> {
        Err(Error::new(ErrorKind::Unsupported, "reading the size of blob", digest)
            .with_detail("this transport does not hold schema 1 images"))
    }

    /// Whether a manifest may have signatures. `false` where the place knows, without being asked
    /// for each manifest, that none of its image has.
    ///
    /// # Errors
    /// As for reading anything else.
    async fn may_be_signed(&self) -> Result<bool> {
        Ok(true)
    }

    /// Reads the signatures of a manifest; none where the place stores none.
    ///
    /// # Errors
    /// As for reading anything else.
    async fn signatures(&self, _manifest: &Descriptor) -> Result<Vec<Signature>> {
        Ok(Vec::new())
    }

    /// Lists the manifests whose `subject` is the given one; none where the place does not know.
    ///
    /// # Errors
    /// As for reading anything else.
    async fn referrers(&self, _subject: &Digest) -> Result<Vec<Descriptor>> {
        Ok(Vec::new())
    }
}
