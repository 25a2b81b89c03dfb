#![doc = include_str!("../README.md")]

mod copy;
mod decide;
mod execute;
mod graph;
mod inspect;
mod options;
mod plan;
mod policy;
mod rewrite;
mod sync;
mod transform;
mod validate;

pub use copy::{PlannedCopy, Report, copy, plan};
pub use decide::MAX_TOTAL_CONFIG_BYTES;
pub use graph::{
    Content, Graph, MAX_INDEX_DEPTH, MAX_MANIFESTS, MAX_TOTAL_MANIFEST_BYTES, Node, Taken,
};
pub use inspect::{Description, Inspected, inspect};
pub use options::{
    AttachedOptions, CopyOptions, Instances, LayerOptions, LayersWanted, PartialIndex,
};
pub use plan::{BlobAction, BlobStep, ManifestStep, Plan};
pub use policy::check_policy;
pub use sync::{SyncOptions, SyncOutcome, SyncPair, Synced, surplus, sync};
pub use validate::{Problem, Validation, validate};
