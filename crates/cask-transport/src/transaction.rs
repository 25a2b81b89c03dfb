//! Writing: begin, ask what is there, write, commit.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use cask_image::{Descriptor, Digest, Hasher, MediaType, RawManifest};
use cask_reference::Reference;

use crate::{BlobReader, Error, ErrorKind, Measured, Result, Signature};

/// How to write; see [`Location::begin`](crate::Location::begin).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WriteOptions {
    /// More names for what is written, where
    /// [`Capabilities::additional_names`](crate::Capabilities::additional_names) says so.
    pub additional_names: Vec<Reference>,
    /// The time stamp of whatever the place itself dates, in seconds since 1970; `None` leaves
    /// the choice to the place.
    pub timestamp_seconds: Option<i64>,
    /// The image that is copied, where it has a reference: a place that has its blobs too may take
    /// them from there. A copy sets it to the reference of where it copies from, unless the caller
    /// knows a better one.
    pub copied_from: Option<Reference>,
    /// The index that what is written was chosen from: a place that
    /// [keeps it](crate::Capabilities::keeps_chosen_from) knows the image by its digest too.
    pub chosen_from: Option<RawManifest>,
}

/// What a blob is in its image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlobKind {
    /// The config of an image.
    Config,
    /// A layer of an image; with the digest of the plain tar, where the config tells it.
    Layer {
        /// The digest of the uncompressed layer.
        diff_id: Option<Digest>,
    },
    /// A blob of an artifact.
    Other,
}

/// A blob that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobSpec {
    /// What it is in its image.
    pub kind: BlobKind,
    /// Its media type as it will stand in the manifest.
    pub media_type: MediaType,
    /// Digest and size. `None` if they are known only once the bytes were made: a layer that is
    /// compressed or decompressed on the way.
    pub measured: Option<Measured>,
}

/// What a destination already has of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Have {
    /// Nothing.
    Missing,
    /// The very bytes.
    Exact,
    /// The same layer in another compression: the manifest can name this instead.
    Equivalent(Box<Descriptor>),
    /// The same layer in another compression is elsewhere in the same place: if
    /// [`Transaction::mount`] makes it available, the manifest can name it instead.
    MountableEquivalent {
        /// The layer that is there.
        other: Box<Descriptor>,
        /// Where, in the place's own words.
        from: String,
    },
    /// The bytes are elsewhere in the same place: [`Transaction::mount`] may save moving them.
    Mountable {
        /// Where, in the place's own words.
        from: String,
    },
    /// The first bytes, left by an earlier attempt. [`Transaction::write_blob`] goes on there.
    Partial {
        /// How many bytes.
        bytes: u64,
    },
}

/// The part that a manifest plays in what is written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ManifestRole {
    /// What the location names.
    Top,
    /// A manifest that an index in the same transaction lists.
    Child,
    /// A manifest that names another of the same transaction as its subject.
    Referrer,
}

/// Bytes that can be opened again, so that everything can be tried again.
#[async_trait]
pub trait Body: Send + Sync {
    /// Opens the bytes from the start. The reader fails at its end unless everything matched.
    ///
    /// # Errors
    /// As for opening the source.
    async fn open(&self) -> Result<BlobReader>;

    /// Opens what follows the bytes that `prefix` has seen. `prefix` hashes by the algorithm of
    /// the blob's digest, where that is known. What the reader tells at its end is of the whole.
    ///
    /// # Errors
    /// As for opening the source; `SizeMismatch` or `DigestMismatch`, now or at the reader's end,
    /// if the blob does not begin with those bytes.
    async fn open_after(&self, prefix: &Hasher) -> Result<BlobReader> {
        let mut reader = self.open().await?;
        reader.skip(prefix).await?;
        Ok(reader)
    }

    /// Reads everything once, to learn digest and size of bytes that are made on the way.
    ///
    /// # Errors
    /// As for reading the source.
    async fn measure(&self) -> Result<Measured> {
        self.open().await?.drain().await
    }
}

/// A [`Body`] that can be shared between tasks.
pub type BlobBody = Arc<dyn Body>;

/// What a commit made visible.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Committed {
    /// Things that the user should know, each a sentence without a full stop.
    pub warnings: Vec<String>,
}

/// Something being written. Nothing of it can be seen before [`commit`](Self::commit) (but see
/// [`Capabilities::visible_with_top`](crate::Capabilities::visible_with_top)); dropped without,
/// nothing remains; killed, the next writer sweeps up.
///
/// The order of calls: [`holds`](Self::holds), where it may spare the rest;
/// [`have`](Self::have) once, with all blobs in the order of the image, those
/// left out that need not be stored, or, where
/// [`Capabilities::tells_freely`](crate::Capabilities::tells_freely) says so, as often as the caller
/// likes, each time with some of them; then blobs, several at once where
/// [`Capabilities`](crate::Capabilities) allow; then manifests, children before their index and
/// referrers after what they refer to; then signatures; then commit. After a manifest was refused
/// with `ManifestRefused`, the config that another form of it needs may come between manifests.
#[async_trait]
pub trait Transaction: Send + Sync {
    /// Whether the place has this manifest, in this part, with everything that it lists: writing
    /// it again would change nothing. A top manifest is there only under the location's name.
    ///
    /// A caller that finds all its manifests there has nothing to write, and drops the
    /// transaction. `false` where telling costs more than writing.
    ///
    /// # Errors
    /// As for reading the place.
    async fn holds(&self, _manifest: &Descriptor, _role: &ManifestRole) -> Result<bool> {
        Ok(false)
    }

    /// Tells what the place already has of each blob, in the same order.
    ///
    /// An archive reserves the room of the blobs here, so that parallel writes cannot change its
    /// bytes.
    ///
    /// # Errors
    /// As for reading the place.
    async fn have(&self, blobs: &[BlobSpec]) -> Result<Vec<Have>>;

    /// Writes a blob and gives its digest and size.
    ///
    /// # Errors
    /// What reading the body gives, and `Io`, `Network`, … of the place. Nothing of a blob that
    /// failed is kept.
    async fn write_blob(&self, blob: &BlobSpec, body: BlobBody) -> Result<Measured>;

    /// Makes a blob available that the place has elsewhere; `false` if it turned out that it
    /// cannot.
    ///
    /// # Errors
    /// As for [`write_blob`](Self::write_blob).
    async fn mount(&self, _blob: &BlobSpec, _from: &str) -> Result<bool> {
        Ok(false)
    }

    /// Writes a manifest or an index.
    ///
    /// # Errors
    /// `ManifestRefused` if another type of manifest may be accepted: the caller may try that.
    async fn write_manifest(&self, manifest: &RawManifest, role: &ManifestRole) -> Result<()>;

    /// Writes the signatures of a manifest that was written.
    ///
    /// # Errors
    /// `Unsupported` where [`Capabilities`](crate::Capabilities) say so.
    async fn write_signatures(
        &self,
        manifest: &RawManifest,
        _signatures: &[Signature],
    ) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "storing signatures of", manifest.digest())
            .with_detail("this transport stores no signatures")
            .with_hint("--remove-signatures copies the image without them"))
    }

    /// Makes everything visible at once.
    ///
    /// # Errors
    /// `Io`, `Network`, …; then nothing became visible.
    async fn commit(self: Box<Self>) -> Result<Committed>;
}

impl fmt::Debug for dyn Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transaction")
    }
}
