#![doc = include_str!("../README.md")]

mod artifacts;
mod containers;
mod error;
mod images;
mod moment;
mod pods;

pub use artifacts::{
    AddArtifactOptions, ArtifactsToRemove, BlobChoice, ExistingArtifact, StoredArtifact,
    StoredArtifacts,
};
pub use containers::{
    AccountsConfig, Attached, Caller, ChangeKind, CheckChange, CloneOptions, Container,
    ContainerChange, ContainerConfig, ContainerFilter, ContainerNetwork, ContainerState,
    ContainerStats, ContainerSummary, ContainerUsage, Containers, CopyEnd, CreateOptions,
    DETACH_KEYS, Describe, DiffSide, DiskLimit, DiskWeight, Event, EventFilter, EventLog,
    EventOptions, ExecOptions, FileChange, FileCopyOptions, FilesConfig, Health, HealthAction,
    HealthChange, HealthConfig, HealthLog, HealthLogPlace, HealthResult, HealthVerdict, HostsBase,
    Journal, LOG_DRIVERS, LifecycleConfig, LogConfig, LogLine, LogOptions, LogStream,
    MONITOR_ARGUMENT, MountConfig, MountType, NamespacesConfig, NetworkAttachment, NetworkConfig,
    NetworkMode, PodMembership, PortMapping, ProcessConfig, Relay, RelayEnd, RemoveOptions,
    ResourcesConfig, RestartPolicy, RuntimeConfig, Secret, SecretConfig, Secrets, SecurityConfig,
    SpaceMode, StartOptions, StartupCheck, Status, TOP_FIELDS, Terminal, TopField, UserRange,
    UsersConfig, UsersRequest, Volume, VolumeImportOptions, VolumeOptions, VolumeUsage, Volumes,
    WaitConditions, attachment_options, parse_bytes, parse_decimal_bytes, parse_detach_keys,
    parse_device_rule, parse_expression, parse_networks, parse_port, parse_top_fields,
    relay_terminal, run_monitor,
};
pub use error::{Error, ErrorKind, Result};
pub use images::{
    Arrived, Artifact, ArtifactConfig, ArtifactFile, ArtifactOptions, AskShortName, DiskUsage,
    Entries, EntryChange, Filter, Found, FoundEntries, HistoryEntry, ImageDetails, ImageList,
    ImageSummary, ImageTree, ImageUsage, Images, ImportOptions, LoadInput, LoadOptions, NewEntry,
    Prune, PullEvent, PullOptions, PullPolicy, Registries, Relations, Removal, Removed,
    SamePlatform, SaveFormat, SaveOptions, TreeLayer, config_of_changes, no_registries,
    parse_moment, whole_name,
};
pub use moment::parse_exact_moment;
pub use pods::{ExitPolicy, Pod, PodCloneOptions, PodConfig, PodOptions, PodSpace, PodState, Pods};
