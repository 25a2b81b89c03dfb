#![doc = include_str!("../README.md")]

mod build;
mod cache;
mod context;
mod copy;
mod error;
mod key;
mod stat_cache;
mod view;

pub use build::{
    BUILD_HOST_NAME, BaseImage, Bases, BuildEvent, BuildFile, BuildReport, BuildRequest,
    BuildTools, BuiltImage, CacheOptions, CacheOutcome, ConfigEdits, Dates, HostNames,
    ImageOptions, InheritLabels, LayerMode, OutputStream, Platforms, PullPolicy, RunOptions,
    RunPrivileges, Secret, Step, StepOutcome, StepReport, StoreBases, Volume,
};
pub use cache::{Cache, CacheEntry, CacheEntryKind, CachePrune, CachePruned, Miss};
pub use context::{
    Context, ContextLocation, ContextTools, Fetch, Fetched, Git, GitLocation, IgnoreChoice,
    Ignored, StreamContext, redacted,
};
pub use copy::{
    AddOptions, Component, CopyItem, CopyRequest, CopyTools, Prepared, WriteOptions, Written,
    prepare,
};
pub use error::{Error, ErrorKind, Location, Result};
pub use stat_cache::StatCache;
pub use view::{Account, Resolved, Status, View};
