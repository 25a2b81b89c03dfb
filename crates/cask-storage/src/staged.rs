//! Layers that are on the disk and not in the store yet.

use std::path::PathBuf;

use cask_image::{Digest, Timestamp};
use cask_layer::{ApplyWarning, Compression};

use crate::Id;
use crate::record::LayerRecord;
use crate::temp::TempDir;

/// What is known of a layer once its stream was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) blob_digest: Digest,
    pub(crate) blob_size: u64,
    pub(crate) diff_digest: Digest,
    pub(crate) diff_size: u64,
    pub(crate) compression: Compression,
    pub(crate) uids: Vec<u32>,
    pub(crate) gids: Vec<u32>,
    /// What could not be extracted as it should be.
    pub(crate) warnings: Vec<ApplyWarning>,
}

/// A layer that was read and is not in the store yet. Nobody else sees it; dropped, it is deleted,
/// and so it is by whoever comes next if the process dies.
#[derive(Debug)]
pub struct StagedLayer(pub(crate) Box<Staged>);

/// What a staged layer is made of.
#[derive(Debug)]
pub(crate) struct Staged {
    /// Holds `directory`.
    pub(crate) _driver_temp: TempDir,
    /// What becomes the layer's directory; the files are in `diff`.
    pub(crate) directory: PathBuf,
    /// With vfs: all files, where they are put together already.
    pub(crate) tree: Option<PathBuf>,
    /// Holds `tar_split`.
    pub(crate) _records_temp: TempDir,
    /// What becomes the recipe for the layer's tar stream.
    pub(crate) tar_split: PathBuf,
    pub(crate) facts: Facts,
}

impl StagedLayer {
    /// The digest of the uncompressed tar stream: the layer's diff ID.
    pub fn diff_digest(&self) -> &Digest {
        &self.0.facts.diff_digest
    }

    /// The size of the uncompressed tar stream in bytes.
    pub fn diff_size_bytes(&self) -> u64 {
        self.0.facts.diff_size
    }

    /// The digest of the stream as it came.
    pub fn blob_digest(&self) -> &Digest {
        &self.0.facts.blob_digest
    }

    /// The size of the stream as it came, in bytes.
    pub fn blob_size_bytes(&self) -> u64 {
        self.0.facts.blob_size
    }

    /// How the stream was compressed.
    pub fn compression(&self) -> Compression {
        self.0.facts.compression
    }

    /// What could not be extracted quite as the stream has it, and did not matter enough to fail: at
    /// most 100 of them.
    pub fn warnings(&self) -> &[ApplyWarning] {
        &self.0.facts.warnings
    }

    pub(crate) fn files(&self) -> PathBuf {
        self.0.directory.join("diff")
    }

    /// The record that the layer gets.
    pub(crate) fn record(&self, id: Id, parent: Option<Id>) -> LayerRecord {
        let facts = &self.0.facts;
        let signed = |size: u64| i64::try_from(size).unwrap_or(i64::MAX);
        let mut record = LayerRecord::new(id);
        record.parent = parent;
        record.created = now();
        record.compressed_digest = Some(facts.blob_digest.clone());
        record.compressed_size_bytes = signed(facts.blob_size);
        record.diff_digest = Some(facts.diff_digest.clone());
        record.diff_size_bytes = signed(facts.diff_size);
        record.set_compression(facts.compression);
        record.uids.clone_from(&facts.uids);
        record.gids.clone_from(&facts.gids);
        record
    }
}

/// The time, as records have it.
pub(crate) fn now() -> Option<Timestamp> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?;
    Timestamp::from_unix(i64::try_from(now.as_secs()).ok()?, now.subsec_nanos())
}
