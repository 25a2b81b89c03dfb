//! What a copy will do, and why, before it does anything.

mod display;
mod work;

use bytes::Bytes;
use cask_image::Descriptor;
use cask_layer::Compression;
use cask_transport::{BlobKind, BlobSpec, Have, ManifestRole, Measured};

use crate::LayersWanted;
use crate::rewrite::Written;
use crate::transform::Target;

pub(crate) use work::{ImageWork, IndexWork, LayerWork, ManifestWork};

/// The steps of a copy. `Display` prints them for people, a line each.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Plan {
    /// Where the image comes from.
    pub from: String,
    /// Where it goes.
    pub to: String,
    /// The manifests, in the order in which they are written.
    pub manifests: Vec<ManifestStep>,
    /// The layers and configs, each once, in the order of the manifests; of an image the layers
    /// from the base up, then the config.
    pub blobs: Vec<BlobStep>,
    /// The destination has all this already, under the same name: nothing is written.
    pub is_there: bool,
    /// What the user should know, each a sentence without a full stop, none twice.
    pub warnings: Vec<String>,
}

/// What happens to a manifest.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ManifestStep {
    /// The manifest as the source has it.
    pub source: Descriptor,
    /// Its part in what is written.
    pub role: ManifestRole,
    /// Why its digest changes; empty if it does not.
    pub changes: Vec<String>,
    /// What it is written as.
    pub(crate) work: ManifestWork,
}

/// What happens to a blob.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BlobStep {
    /// The blob as the source has it, or as it is made; with the media type that it will have.
    pub source: Descriptor,
    /// What it is in its image.
    pub kind: BlobKind,
    /// What is done.
    pub action: BlobAction,
    /// Why; empty where nothing has to be said.
    pub reason: String,
    /// What the destination has of it.
    pub have: Have,
    /// What becomes of the bytes and of what is said about them; `None` is nothing.
    pub(crate) target: Option<Target>,
    /// The bytes, where they were read or made already.
    pub(crate) made: Option<Bytes>,
    /// What changing it gives, where that was tried.
    pub(crate) tried: Option<Written>,
    /// What was asked for of the layers of its image.
    pub(crate) wanted: LayersWanted,
}

/// What is done with a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BlobAction {
    /// It is copied as it is.
    Copy,
    /// It is compressed, or recompressed. What turns out to be compressed so already stays.
    Compress(Compression),
    /// It is decompressed. What turns out to be plain stays.
    Decompress,
    /// It is left where its URLs point to.
    Leave,
    /// It is made by converting.
    Make,
}

impl BlobStep {
    /// Whether bytes will move. Those that the destination can mount will not, unless it turns out
    /// that it cannot.
    pub fn is_moved(&self) -> bool {
        let is_there = matches!(
            self.have,
            Have::Exact
                | Have::Equivalent(_)
                | Have::Mountable { .. }
                | Have::MountableEquivalent { .. }
        );
        self.action != BlobAction::Leave && !is_there
    }

    /// What the destination is told before.
    pub(crate) fn spec(&self) -> BlobSpec {
        let measured = match (&self.tried, self.action) {
            (Some(tried), _) => Some(tried.measured.clone()),
            (None, BlobAction::Compress(_) | BlobAction::Decompress) => None,
            (None, _) => Some(Measured::from(&self.source)),
        };
        BlobSpec { kind: self.kind.clone(), media_type: self.source.media_type.clone(), measured }
    }
}

impl Plan {
    /// How many bytes will move, counted before they are compressed or decompressed. What the
    /// destination has, or can mount, is not among them.
    pub fn moved_bytes(&self) -> u64 {
        sizes(self.blobs.iter().filter(|blob| blob.is_moved()))
    }

    /// How many bytes the destination has already, here or where it can mount them from.
    pub fn reused_bytes(&self) -> u64 {
        let is_reused = |blob: &&BlobStep| !blob.is_moved() && blob.action != BlobAction::Leave;
        sizes(self.blobs.iter().filter(is_reused))
    }

    /// Whether every manifest keeps its digest.
    pub fn keeps_digests(&self) -> bool {
        self.manifests.iter().all(|manifest| manifest.changes.is_empty())
    }
}

/// Sizes are whatever a manifest says: their sum may be more than a number holds.
fn sizes<'b>(blobs: impl Iterator<Item = &'b BlobStep>) -> u64 {
    blobs.fold(0, |sum, blob| sum.saturating_add(blob.source.size))
}
