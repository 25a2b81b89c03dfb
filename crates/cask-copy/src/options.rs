//! What a caller can choose about a copy.

use std::num::NonZeroUsize;
use std::sync::Arc;

use cask_image::{ImageFormat, PlatformWanted};
use cask_layer::{Compression, DecompressLimits, Level};
use cask_transport::{Error, ErrorKind, EventSink, Result, WriteOptions};
use cask_trust::Policy;

use crate::locks::DigestLocks;

/// How to copy an image; see [`copy`](crate::copy()).
#[derive(Clone)]
#[non_exhaustive]
pub struct CopyOptions {
    /// Which images may be used at all.
    pub policy: Arc<Policy>,
    /// Images that nobody signed are refused even where the policy would accept them.
    pub require_signed: bool,
    /// What is copied of an index.
    pub instances: Instances,
    /// What happens to an index of which only a part is copied.
    pub partial_index: PartialIndex,
    /// Whether manifests must stay as they are, byte for byte.
    pub preserve_digests: bool,
    /// The format that manifests shall have; `None` keeps it where the destination can hold it.
    pub format: Option<ImageFormat>,
    /// What happens to layers.
    pub layers: LayerOptions,
    /// Of an index that is copied with everything in it: its images come in these compressions too, for each platform
    /// that has none so. What an image is compressed by is what the index says of it.
    pub added_compressions: Vec<CompressionFormat>,
    /// What happens to signatures and to other manifests that refer to the image.
    pub attached: AttachedOptions,
    /// What happens to another image that the destination has under the same name.
    pub existing: ExistingImage,
    /// How the destination writes.
    pub write: WriteOptions,
    /// How many blobs are copied at once.
    pub parallel_blobs: NonZeroUsize,
    /// Who is told of what happens.
    pub events: Arc<dyn EventSink>,
    /// What keeps copies at the same time from writing the same manifest.
    pub(crate) locks: DigestLocks,
}

/// What is copied of an index. An image that is no index is copied as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Instances {
    /// The one image for a platform, without the index.
    One(PlatformWanted),
    /// The index and everything in it.
    All,
    /// The index, and nothing in it.
    IndexOnly,
    /// The index, and the images for these platforms with what attests them.
    Platforms(Vec<PlatformWanted>),
}

/// What happens to an index of which only some platforms are copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PartialIndex {
    /// It lists what is there: the other entries go, and its digest changes.
    #[default]
    Strip,
    /// It stays as it is and lists what is not there.
    Keep,
}

/// What happens to another image that the destination has under the same name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExistingImage {
    /// The new one takes its name, as the place does it.
    #[default]
    Replaced,
    /// It stays, and the copy fails before anything is written. What gets the name after that was
    /// found out is replaced all the same.
    Refused,
}

/// What happens to layers on the way.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct LayerOptions {
    /// Whether they are compressed or decompressed.
    pub wanted: LayersWanted,
    /// What plain layers are compressed to where nothing is asked for, and the destination wants them compressed.
    pub usual: CompressionFormat,
    /// The level of compression.
    pub level: Level,
    /// What is compressed to zstd becomes zstd:chunked, of which readers can fetch single files;
    /// zstd without a table of contents counts as another compression. An error unless zstd is
    /// asked for.
    pub zstd_chunked: bool,
    /// What decompressing one layer may cost, where one has to be decompressed.
    pub limits: DecompressLimits,
    /// Layers that change are read and made once before they are written, so that the destination
    /// can say whether it has them: work instead of traffic.
    pub precompute_digests: bool,
}

/// In what form layers are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CompressionFormat {
    /// What is done to the bytes.
    pub compression: Compression,
    /// Readers can fetch single files of them. Of zstd alone.
    pub zstd_chunked: bool,
}

impl Default for CompressionFormat {
    /// By gzip, which everybody reads.
    fn default() -> Self {
        Compression::Gzip.into()
    }
}

impl From<Compression> for CompressionFormat {
    fn from(compression: Compression) -> Self {
        Self { compression, zstd_chunked: false }
    }
}

/// Whether layers are compressed or decompressed on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayersWanted {
    /// As the destination wants it: plain layers are compressed for most, by gzip unless another compression is
    /// [usual](LayerOptions::usual), and compressed ones stay as they are.
    #[default]
    AsDestinationWants,
    /// They stay as they are; an error where the destination cannot hold them so.
    Keep,
    /// Plain layers, and layers in another compression, are compressed to this: gzip or zstd.
    Compress(Compression),
    /// Plain layers are compressed to this, gzip or zstd; layers that are compressed stay.
    CompressPlain(Compression),
    /// All are decompressed.
    Decompress,
}

/// What happens to what is attached to an image.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct AttachedOptions {
    /// Signatures beside the manifest are left out.
    pub remove_signatures: bool,
    /// Manifests that name the image as their subject are copied too.
    pub referrers: bool,
}

impl LayersWanted {
    /// The compression that is asked for.
    pub(crate) fn compression(self) -> Option<Compression> {
        match self {
            Self::Compress(compression) | Self::CompressPlain(compression) => Some(compression),
            Self::AsDestinationWants | Self::Keep | Self::Decompress => None,
        }
    }
}

impl LayerOptions {
    /// Fails for what cannot be written, before anything is read.
    pub(crate) fn check(&self) -> Result<()> {
        let fail = || Error::new(ErrorKind::Unsupported, "compressing layers", "");
        if self.zstd_chunked && self.wanted.compression() != Some(Compression::Zstd) {
            return Err(fail().with_detail("only zstd can be chunked: ask for zstd"));
        }
        if self.usual.zstd_chunked && self.usual.compression != Compression::Zstd {
            return Err(fail().with_detail("only zstd can be chunked: ask for zstd"));
        }
        let compression = match self.wanted {
            LayersWanted::AsDestinationWants => Some(self.usual.compression),
            wanted => wanted.compression(),
        };
        let Some(compression) = compression else { return Ok(()) };
        if compression == Compression::None {
            return Err(fail().with_detail("none is no compression: choose gzip or zstd"));
        }
        self.level.number(compression).map(drop).map_err(|error| fail().with_source(error))
    }
}

impl LayerOptions {
    /// What happens to the layers of an image that is added in another compression.
    pub(crate) fn added(self, format: CompressionFormat) -> Self {
        Self {
            wanted: LayersWanted::Compress(format.compression),
            zstd_chunked: format.zstd_chunked,
            level: Level::Default,
            ..self
        }
    }
}

impl CopyOptions {
    /// Fails for what makes no sense, before anything is read.
    pub(crate) fn check(&self) -> Result<()> {
        self.layers.check()?;
        for format in &self.added_compressions {
            self.layers.added(*format).check()?;
        }
        if !self.added_compressions.is_empty() && self.instances != Instances::All {
            return Err(Error::new(ErrorKind::Unsupported, "adding compressions", "").with_detail(
                "images are added to an index in other compressions only where all of it is copied",
            ));
        }
        Ok(())
    }

    /// Starts from the policy, which no copy can do without, and the platform of which an image
    /// is chosen from an index.
    pub fn new(policy: Arc<Policy>, platform: PlatformWanted) -> Self {
        Self {
            policy,
            require_signed: false,
            instances: Instances::One(platform),
            partial_index: PartialIndex::default(),
            preserve_digests: false,
            format: None,
            layers: LayerOptions::default(),
            added_compressions: Vec::new(),
            attached: AttachedOptions::default(),
            existing: ExistingImage::default(),
            write: WriteOptions::default(),
            parallel_blobs: NonZeroUsize::new(6).expect("six is not zero"),
            events: Arc::new(()),
            locks: DigestLocks::default(),
        }
    }
}

impl std::fmt::Debug for CopyOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CopyOptions")
            .field("instances", &self.instances)
            .field("format", &self.format)
            .field("layers", &self.layers)
            .finish_non_exhaustive()
    }
}
