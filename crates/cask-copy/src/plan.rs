//! What a copy will do, and why, before it does anything.

use std::fmt;

use bytes::Bytes;
use cask_image::{Descriptor, ImageManifest};
use cask_layer::Compression;
use cask_transport::{BlobKind, BlobSpec, Have, ManifestRole, Measured};

use crate::transform::Target;

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
    /// The configs and layers, each once, in the order of the manifests.
    pub blobs: Vec<BlobStep>,
    /// What the user should know, each a sentence without a full stop.
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
    /// Why its bytes change; empty if they do not.
    pub changes: Vec<String>,
    /// What it is written as.
    pub(crate) work: ManifestWork,
}

/// How the manifest that is written comes about.
#[derive(Clone, Debug)]
pub(crate) enum ManifestWork {
    /// The bytes of the source.
    Keep,
    /// An image with other layers, config or format. `blobs` are the places of its layers in
    /// the plan's list, in order; `None` stays as it stands in the manifest.
    Image { manifest: Box<ImageManifest>, blobs: Vec<Option<usize>> },
    /// An index with other entries.
    Index,
}

/// What happens to a blob.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BlobStep {
    /// The blob as the source has it, or as it is made.
    pub source: Descriptor,
    /// What it is in its image.
    pub kind: BlobKind,
    /// What is done.
    pub action: BlobAction,
    /// Why; empty where nothing has to be said.
    pub reason: String,
    /// What the destination has of it.
    pub have: Have,
    pub(crate) target: Option<Target>,
    pub(crate) made: Option<Bytes>,
}

/// What is done with a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlobAction {
    /// It is copied as it is.
    Copy,
    /// It is compressed, or recompressed.
    Compress(Compression),
    /// It is decompressed.
    Decompress,
    /// It is left where its URLs point to.
    Leave,
    /// It is made by converting.
    Make,
}

impl BlobStep {
    /// Whether bytes will move.
    pub fn is_moved(&self) -> bool {
        self.action != BlobAction::Leave && !matches!(self.have, Have::Exact | Have::Equivalent(_))
    }

    /// What the destination is told before.
    pub(crate) fn spec(&self) -> BlobSpec {
        let measured = match self.action {
            BlobAction::Compress(_) | BlobAction::Decompress => None,
            _ => Some(Measured::from(&self.source)),
        };
        BlobSpec { kind: self.kind.clone(), media_type: self.source.media_type.clone(), measured }
    }
}

impl Plan {
    /// How many bytes will be read from the source. What the destination has is not among them.
    pub fn moved_bytes(&self) -> u64 {
        self.blobs.iter().filter(|blob| blob.is_moved()).map(|blob| blob.source.size).sum()
    }

    /// How many bytes the destination has already.
    pub fn reused_bytes(&self) -> u64 {
        self.blobs
            .iter()
            .filter(|blob| !blob.is_moved() && blob.action != BlobAction::Leave)
            .map(|blob| blob.source.size)
            .sum()
    }

    /// Whether every manifest keeps its digest.
    pub fn keeps_digests(&self) -> bool {
        self.manifests.iter().all(|manifest| manifest.changes.is_empty())
    }
}

impl fmt::Display for BlobAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Copy => f.write_str("copy"),
            Self::Compress(compression) => write!(f, "compress by {compression}"),
            Self::Decompress => f.write_str("decompress"),
            Self::Leave => f.write_str("leave at its URLs"),
            Self::Make => f.write_str("make"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "copy {} to {}", self.from, self.to)?;
        for blob in &self.blobs {
            let what = match &blob.kind {
                BlobKind::Config => "config",
                BlobKind::Layer { .. } => "layer",
                _ => "blob",
            };
            let BlobStep { source, action, reason, .. } = blob;
            write!(f, "  {what} {} ({} bytes): ", source.digest, source.size)?;
            match &blob.have {
                Have::Exact => f.write_str("reuse: the destination has it")?,
                Have::Equivalent(other) => {
                    write!(f, "reuse: the destination has {}", other.digest)?
                }
                Have::Mountable { from } => write!(f, "mount from {from}")?,
                Have::Partial { bytes } => write!(f, "{action} from byte {bytes} on")?,
                _ => write!(f, "{action}")?,
            }
            if !reason.is_empty() {
                write!(f, ", because {reason}")?;
            }
            writeln!(f)?;
        }
        for manifest in &self.manifests {
            let what = if manifest.source.media_type.is_index() { "index" } else { "manifest" };
            write!(f, "  {what} {}", manifest.source.digest)?;
            if let Some(platform) = &manifest.source.platform {
                write!(f, " ({platform})")?;
            }
            match manifest.changes.as_slice() {
                [] => writeln!(f, ": write unchanged")?,
                changes => writeln!(f, ": its digest changes, because {}", changes.join("; "))?,
            }
        }
        for warning in &self.warnings {
            writeln!(f, "  note: {warning}")?;
        }
        writeln!(f, "  {} bytes to read, {} bytes reused", self.moved_bytes(), self.reused_bytes())
    }
}
