//! From a Containerfile to an image in a store.

mod event;
mod report;
mod request;
mod run_options;
mod tools;

pub use event::{BuildEvent, CacheOutcome, OutputStream, Step, StepOutcome};
pub use report::{BuildReport, BuiltImage, StepReport};
pub use request::{
    BuildFile, BuildRequest, CacheOptions, ConfigEdits, Dates, ImageOptions, InheritLabels,
    LayerMode, Platforms, PullPolicy,
};
pub use run_options::{BUILD_HOST_NAME, HostNames, RunOptions, RunPrivileges, Secret, Volume};
pub use tools::{BaseImage, Bases, BuildTools, StoreBases};
