//! From a Containerfile to an image in a store.

mod commit;
mod copy_step;
mod engine;
mod epoch;
mod event;
mod headers;
mod hold;
mod metadata;
mod networks;
mod plan;
mod remote;
mod report;
mod request;
mod run_options;
mod schedule;
mod scratch;
mod settling;
mod sources;
mod squash;
mod stage;
mod state;
mod tools;
mod workdir;

pub(crate) use copy_step::{From, stage_written};
pub(crate) use engine::{Engine, lock};
pub(crate) use hold::Hold;
pub(crate) use squash::write_tree;
pub(crate) use stage::{Ground, Layered, Made, StageRun};

pub use event::{BuildEvent, CacheOutcome, OutputStream, Step, StepOutcome};
pub use networks::{StageNetwork, StageNetworks};
pub(crate) use remote::now_seconds;
pub use remote::{CachedStep, RemoteCache, names_step};
pub use report::{BuildReport, BuiltImage, Material, StepReport, UsedBase};
pub use request::{
    BuildFile, BuildRequest, CacheExport, CacheOptions, ConfigEdits, Dates, ImageOptions,
    InheritAnnotations, InheritLabels, LayerMode, Platforms, PullPolicy, SavedStages,
};
pub use run_options::{
    BUILD_HOST_NAME, BuildNetwork, DescribedDevices, HostNames, Resources, RunOptions,
    RunPrivileges, Secret, Unmask,
};
pub use schedule::{base_references, build};
pub use sources::{BuildSources, NamedContext};
pub use tools::{BaseImage, Bases, BuildTools, ShellTerminal, StoreBases};
