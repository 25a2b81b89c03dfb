//! Containers: made, started, watched, joined, stopped and removed, without a daemon.

mod accounts;
mod attach;
mod config;
mod cp;
mod create;
mod details;
mod devices;
mod diff;
mod etc;
mod events;
mod exec;
mod export;
mod find;
mod health;
mod holders;
mod init;
mod journal;
mod list;
mod logging;
mod logs;
mod monitor;
mod mounts;
mod names;
mod network;
mod overlays;
mod record;
mod remove;
mod reset;
mod resources;
mod runtime;
mod secrets;
mod spec;
mod start;
mod stats;
mod stop;
mod summary;
mod top;
mod update;
mod usage;
mod users;
mod volumes;
mod wait;
mod wire;

use std::path::{Path, PathBuf};

use cask_runtime::{GivenFile, ServiceManager};
use cask_storage::{Id, Store};

use crate::{Images, Result};
use record::Place;

pub use attach::{Attached, DETACH_KEYS, Relay, RelayEnd, parse_detach_keys, relay_terminal};
pub use config::{
    AccountsConfig, ContainerConfig, DiskLimit, DiskWeight, FilesConfig, HostsBase,
    LifecycleConfig, LogConfig, NamespacesConfig, NetworkAttachment, NetworkConfig, NetworkMode,
    PodMembership, PortMapping, ProcessConfig, ResourcesConfig, RestartPolicy, RuntimeConfig,
    SecurityConfig, SpaceMode,
};
pub use cp::{CopyEnd, FileCopyOptions};
pub(crate) use create::name_of_copy;
pub use create::{CloneOptions, CreateOptions, parse_port};
pub use diff::{ChangeKind, DiffSide, FileChange};
pub use events::{Event, EventFilter, EventLog, EventOptions};
pub use exec::ExecOptions;
pub use health::{
    CheckChange, Health, HealthAction, HealthChange, HealthConfig, HealthLog, HealthLogPlace,
    HealthResult, HealthVerdict, StartupCheck,
};
pub use journal::Journal;
pub use list::{ContainerFilter, parse_expression};
pub use logging::LOG_DRIVERS;
pub use logs::{LogLine, LogOptions, LogStream};
pub use monitor::{MONITOR_ARGUMENT, run_monitor};
pub(crate) use mounts::check_name;
pub use mounts::{MountConfig, MountType, parse_bytes, parse_decimal_bytes};
pub(crate) use names::choose as choose_name;
pub use network::{ContainerNetwork, attachment_options, parse_networks};
pub use record::{ContainerState, Status};
pub(crate) use record::{now, open_lock};
pub use remove::RemoveOptions;
pub use resources::parse_device_rule;
pub(crate) use resources::whole as whole_limits;
pub use secrets::{Secret, SecretConfig, Secrets};
pub use start::{StartOptions, Terminal};
pub use stats::ContainerStats;
pub use summary::ContainerSummary;
pub use top::{TOP_FIELDS, TopField, parse_top_fields};
pub use update::ContainerChange;
pub use usage::{ContainerUsage, VolumeUsage};
pub use users::{Caller, UserRange, UsersConfig, UsersRequest};
pub use volumes::{Volume, VolumeImportOptions, VolumeOptions, Volumes};
pub use wait::WaitConditions;

/// The containers of a store. Cheap to clone.
///
/// Nothing watches them but their own monitors: one small process for each that runs, which is the embedding
/// program started again (see [`run_monitor`]).
#[derive(Clone, Debug)]
pub struct Containers {
    images: Images,
    places: cask_network::Places,
    journal: Journal,
    volume_directory: Option<PathBuf>,
    services: Option<ServiceManager>,
    hook_directories: Vec<PathBuf>,
    cdi_directories: Vec<PathBuf>,
    default_mounts: Vec<GivenFile>,
    describe: Option<Describe>,
}

/// Gives everything about a container, in JSON.
pub type Describe = fn(&Containers, &Container) -> Option<String>;

/// One container, as it was when it was looked at.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Container {
    /// What it was made with.
    pub config: ContainerConfig,
    /// What became of it.
    pub state: ContainerState,
    place: Place,
}

impl Container {
    /// Its ID.
    pub fn id(&self) -> &str {
        &self.config.id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// The file that its output is kept in, where it is kept in one.
    pub fn log_path(&self) -> Option<PathBuf> {
        let is_file = logging::LogDriver::of(&self.config).ok()? == logging::LogDriver::File;
        is_file.then(|| self.config.log.path.clone().unwrap_or_else(|| self.place.log()))
    }

    /// The directory of what is kept with it.
    pub fn directory(&self) -> &Path {
        &self.place.kept
    }

    /// The directory of what it has while it runs.
    pub fn run_directory(&self) -> &Path {
        &self.place.run
    }
}

impl Containers {
    /// Looks at the containers of a store.
    pub fn new(images: Images) -> Self {
        let places = network::usual_places(&images);
        Self {
            images,
            places,
            journal: Journal::default(),
            volume_directory: None,
            services: None,
            hook_directories: Vec::new(),
            cdi_directories: cask_runtime::CDI_DIRECTORIES.map(PathBuf::from).to_vec(),
            default_mounts: Vec::new(),
            describe: None,
        }
    }

    /// Has networks be in other places than podman's.
    #[must_use]
    pub fn with_networks_in(mut self, places: cask_network::Places) -> Self {
        self.places = places;
        self
    }

    /// Has volumes be in this directory, instead of in the store.
    #[must_use]
    pub fn with_volumes_in(mut self, directory: Option<PathBuf>) -> Self {
        self.volume_directory = directory;
        self
    }

    /// Has containers that begin have the hooks whose files are in these directories, of which a later one's files replace
    /// those of the same names before.
    #[must_use]
    pub fn with_hooks_in(mut self, directories: Vec<PathBuf>) -> Self {
        self.hook_directories = directories;
        self
    }

    /// Has devices of vendors be described in these directories instead of the usual ones, of which a later one's come
    /// before those of the same names of others.
    #[must_use]
    pub fn with_cdi_devices_in(mut self, directories: Vec<PathBuf>) -> Self {
        self.cdi_directories = directories;
        self
    }

    /// Has containers that begin be given copies of these files, where nothing else is mounted there.
    #[must_use]
    pub fn with_default_mounts(mut self, files: Vec<GivenFile>) -> Self {
        self.default_mounts = files;
        self
    }

    /// Has the journal of the machine be another one than systemd's.
    #[must_use]
    pub fn with_journal(mut self, journal: Journal) -> Self {
        self.journal = journal;
        self
    }

    /// Has systemd make the control groups of containers, where users too may have limits, in place of this program.
    #[must_use]
    pub fn with_services(mut self, services: Option<ServiceManager>) -> Self {
        self.services = services;
        self
    }

    /// Has the event of a container's creation tell what this says of it.
    #[must_use]
    pub fn with_descriptions(mut self, describe: Option<Describe>) -> Self {
        self.describe = describe;
        self
    }

    /// The images that containers are made from.
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// The volumes beside them.
    pub fn volumes(&self) -> Volumes {
        let options = self.store().options();
        let (graph_root, run_root) = (self.store().graph_root(), self.store().run_root());
        Volumes::new(graph_root, run_root, self.volume_directory.as_deref(), options.rootless)
            .with_events_in(self.images.event_log())
            .with_images(self.images.clone())
    }

    /// The secrets beside them.
    pub fn secrets(&self) -> Secrets {
        Secrets::new(self.store().graph_root())
    }

    /// Whether systemd makes the control groups of containers.
    pub fn has_services(&self) -> bool {
        self.services.is_some()
    }

    pub(crate) fn store(&self) -> &Store {
        self.images.store()
    }

    fn directory(&self) -> PathBuf {
        // What is gone with the run root has nothing in the graph root.
        match self.store().options().transient {
            true => self.store().run_root().join("cask/transient"),
            false => self.store().graph_root().join("cask/containers"),
        }
    }

    fn place(&self, id: &Id) -> Place {
        Place {
            kept: self.directory().join(id.as_str()),
            run: self.store().run_root().join("cask/containers").join(id.as_str()),
        }
    }

    /// Looks at a container again.
    ///
    /// # Errors
    /// [`ErrorKind::ContainerNotKnown`](crate::ErrorKind::ContainerNotKnown) where it was removed;
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage).
    pub fn reload(&self, container: &Container) -> Result<Container> {
        let (config, state) = container.place.load()?;
        Ok(Container { config, state, place: container.place.clone() })
    }
}
