#![doc = include_str!("../README.md")]

mod build;
mod cache;
mod config;
mod context;
mod copy;
mod error;
mod history;
mod key;
mod output;
mod restage;
mod run;
mod stat_cache;
mod view;
mod volume;
mod working;

pub use build::{
    BUILD_HOST_NAME, BaseImage, Bases, BuildEvent, BuildFile, BuildNetwork, BuildReport,
    BuildRequest, BuildSources, BuildTools, BuiltImage, CacheExport, CacheOptions, CacheOutcome,
    CachedStep, ConfigEdits, Dates, DescribedDevices, HostNames, ImageOptions, InheritAnnotations,
    InheritLabels, LayerMode, Material, NamedContext, OutputStream, Platforms, PullPolicy,
    RemoteCache, Resources, RunOptions, RunPrivileges, SavedStages, Secret, ShellTerminal,
    StageNetwork, StageNetworks, Step, StepOutcome, StepReport, StoreBases, Unmask, UsedBase,
    base_references, build, names_step,
};
pub use cache::{Cache, CacheEntry, CacheEntryKind, CachePrune, CachePruned, Miss};
pub use context::{
    Context, ContextLocation, ContextTools, Fetch, Fetched, Git, GitLocation, IgnoreChoice,
    Ignored, LostException, StreamContext, redacted,
};
pub use copy::{
    AddOptions, Component, CopyItem, CopyRequest, CopyTools, Prepared, WriteOptions, Written,
    prepare,
};
pub use error::{Error, ErrorKind, Location, Result};
pub use output::{FileOptions, write_directory, write_tar};
pub use stat_cache::StatCache;
pub use view::{Account, Resolved, Status, View};
pub use volume::{Volume, VolumeChanges};
pub use working::{
    AddedFile, CommitOptions, CommittedImage, ConfigChange, Copied, HealthcheckChange, MountFrom,
    NewWorkingContainer, OpenedMount, WorkingConfinement, WorkingContainer, WorkingContainers,
    WorkingDates, WorkingDetails, WorkingIsolation, WorkingNamespace, WorkingNamespaces,
    WorkingNetwork, WorkingResources, WorkingRun, WorkingRunOptions, WorkingUsers, image_details,
    machine_context,
};
