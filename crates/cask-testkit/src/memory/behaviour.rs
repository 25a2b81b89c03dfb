//! How the store behaves, besides what it can do.

use std::collections::BTreeMap;

use cask_image::{Digest, MediaType};
use cask_transport::{Have, Measured};

/// How a [`MemoryStore`](super::MemoryStore) behaves. The default is honest, synchronous, and
/// reuses what it holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Behaviour {
    /// Blobs are read and written asynchronously, as a registry does; otherwise synchronously on
    /// blocking threads, as files are.
    pub is_async: bool,
    /// How many bytes at a time move, at least 1; between two chunks an asynchronous store yields.
    pub chunk_bytes: usize,
    /// Which blobs are not what they should be when they are read.
    pub lies: BTreeMap<Digest, Lie>,
    /// Images whose layers are told to be held in another form than their manifest names, by its
    /// digest.
    pub held: BTreeMap<Digest, Vec<Measured>>,
    /// What is told to be there of blobs that are to be written.
    pub reuse: Reuse,
    /// Answers instead of the honest one, by the blob's digest, or by the DiffID of a layer whose
    /// digest is not known yet.
    pub have: BTreeMap<Digest, Have>,
    /// Mounting is promised, and turns out to be impossible.
    pub mounts_fail: bool,
    /// How the bodies of blobs are read.
    pub writing: Writing,
    /// What fails, once.
    pub failure: Option<Failure>,
    /// Manifests of these types are refused although they can be written, as registries do that
    /// are older than a type.
    pub refused_types: Vec<MediaType>,
    /// What a commit warns of.
    pub warnings: Vec<String>,
}

/// What is wrong with a blob that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lie {
    /// Its last byte is another one.
    OtherBytes,
    /// It ends after so many bytes.
    Truncated(usize),
    /// A byte follows its end.
    Longer,
    /// It never ends.
    Endless,
    /// It is not there.
    Missing,
    /// The connection breaks in its middle.
    Breaks,
    /// In its middle nothing more comes, for ever; also of a store that is not asynchronous.
    Stalls,
}

/// What a store tells to have of what is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reuse {
    /// What the shelf holds.
    pub exact: bool,
    /// A layer in another compression, if its DiffID was told when it was written.
    pub equivalent: bool,
    /// What another shelf holds, to be mounted from there.
    pub mounted: bool,
    /// Manifests, the top one under the location's name.
    pub manifests: bool,
}

/// How the bodies of blobs are read when they are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Writing {
    /// Once.
    #[default]
    Once,
    /// Once to learn the digest, and then once more.
    Measured,
    /// The first half, and then the rest with another reader that goes on there.
    Resumed,
}

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// Opening the place for reading.
    Open,
    /// Beginning to write.
    Begin,
    /// Telling what is there.
    Have,
    /// Writing a blob, counted from zero in the order of the calls: after half of its bytes.
    Blob(usize),
    /// Writing a manifest, counted from zero.
    Manifest(usize),
    /// Writing signatures.
    Signatures,
    /// The commit.
    Commit,
    /// The commit, because somebody took away meanwhile what was there.
    Changed,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            is_async: false,
            chunk_bytes: 64 << 10,
            lies: BTreeMap::new(),
            held: BTreeMap::new(),
            reuse: Reuse { exact: true, equivalent: false, mounted: false, manifests: false },
            have: BTreeMap::new(),
            mounts_fail: false,
            writing: Writing::Once,
            failure: None,
            refused_types: Vec::new(),
            warnings: Vec::new(),
        }
    }
}
