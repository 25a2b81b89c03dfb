#![doc = include_str!("../README.md")]

mod copy;
mod decide;
mod execute;
mod graph;
mod held;
mod inspect;
mod locks;
mod nowhere;
mod options;
mod plan;
mod policy;
mod precompute;
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
    AttachedOptions, CompressionFormat, CopyOptions, ExistingImage, Instances, LayerOptions,
    LayersWanted, PartialIndex,
};
pub use plan::{BlobAction, BlobStep, ManifestStep, Plan};
pub use policy::check_policy;
pub use sync::{
    DocumentError, MAX_SYNC_DOCUMENT_BYTES, NameFilter, NamePattern, OnFailure, PatternError,
    PatternErrorKind, SyncCredentials, SyncDocument, SyncEvent, SyncOptions, SyncOutcome, SyncPair,
    SyncRegistry, SyncReport, SyncRepository, SyncSet, SyncTarget, Synced, VersionConstraint,
    Wanted, digest_tags, directories_with, name_within, place_of, surplus, sync, sync_sets,
};
pub use validate::{Problem, Validation, validate};
