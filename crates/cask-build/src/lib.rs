#![doc = include_str!("../README.md")]

mod build;
mod cache;
mod error;
mod key;

pub use build::{
    BUILD_HOST_NAME, BaseImage, Bases, BuildEvent, BuildFile, BuildReport, BuildRequest,
    BuildTools, BuiltImage, CacheOptions, CacheOutcome, ConfigEdits, Dates, HostNames,
    ImageOptions, InheritLabels, LayerMode, OutputStream, Platforms, PullPolicy, RunOptions,
    RunPrivileges, Secret, Step, StepOutcome, StepReport, StoreBases, Volume,
};
pub use cache::{Cache, CacheEntry, CacheEntryKind, CachePrune, CachePruned, Miss};
pub use error::{Error, ErrorKind, Location, Result};
