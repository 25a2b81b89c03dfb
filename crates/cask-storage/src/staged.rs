//! Layers that are on the disk and not in the store yet.

use std::path::PathBuf;

use cask_image::{Digest, Timestamp};
use cask_layer::{ApplyWarning, Compression};

use crate::delete::TrashOf;
use crate::names::IMAGE_PLACE;
use crate::record::LayerRecord;
use crate::store::Inner;
use crate::temp::TempDir;
use crate::{Id, Result, file};

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

/// Where a layer is put together.
#[derive(Debug)]
pub(crate) struct Staging {
    driver_temp: TempDir,
    records_temp: TempDir,
    /// What becomes the layer's directory.
    pub(crate) directory: PathBuf,
    /// What becomes the recipe for the layer's tar stream; nothing is there yet.
    pub(crate) tar_split: PathBuf,
}

impl Staging {
    /// Begins with an empty directory.
    pub(crate) fn begin(store: &Inner) -> Result<Self> {
        let mut temp = TempDir::create(&store.temp_root(IMAGE_PLACE, TrashOf::Driver))?;
        let directory = temp.next_path("addition");
        file::make_directories(&directory, 0o700)?;
        Self::of(store, temp, directory)
    }

    /// Goes on with a directory that is there.
    pub(crate) fn of(store: &Inner, driver_temp: TempDir, directory: PathBuf) -> Result<Self> {
        let mut records_temp = TempDir::create(&store.temp_root(IMAGE_PLACE, TrashOf::Records))?;
        let tar_split = records_temp.next_path("addition");
        Ok(Self { driver_temp, records_temp, directory, tar_split })
    }

    /// A path for the blob that the layer comes as.
    pub(crate) fn blob_path(&mut self) -> PathBuf {
        self.records_temp.next_path("blob")
    }

    /// Ends: all of the layer is there. With vfs, `tree` has all files where they are put together
    /// already.
    pub(crate) fn finish(self, tree: Option<PathBuf>, facts: Facts) -> StagedLayer {
        let Self { driver_temp, records_temp, directory, tar_split } = self;
        StagedLayer(Box::new(Staged {
            _driver_temp: driver_temp,
            directory,
            tree,
            _records_temp: records_temp,
            tar_split,
            facts,
        }))
    }
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
