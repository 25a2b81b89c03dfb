//! containers.conf: what containers are made with where nobody says otherwise.
//!
//! [`ContainersPaths`] say which files are read, [`ContainersConf::load`] reads and merges them, and
//! [`ContainersConf::parse`] reads one text. Of its many keys those are read that say what a container has; the others
//! are of programs that are not here, and are passed over.
//!
//! Source: containers.conf(5) and containers/common, `pkg/config`.

mod load;
mod parse;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use load::ContainersPaths;

/// What the files say; `None` is what they say nothing of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContainersConf {
    /// Lists of `[containers]`.
    pub lists: ContainerLists,
    /// Switches of `[containers]`.
    pub switches: ContainerSwitches,
    /// Modes of namespaces, in the words of the flags.
    pub modes: ContainerModes,
    /// `log_driver`: where output is kept.
    pub log_driver: Option<String>,
    /// `log_size_max`: bytes of a log, if more than 0.
    pub log_size_max: Option<i64>,
    /// `log_tag`: a word for every line.
    pub log_tag: Option<String>,
    /// `host_containers_internal_ip`: the address of `host.containers.internal`; `none` is that it is not known.
    pub host_address: Option<String>,
    /// `base_hosts_file`: what `/etc/hosts` begins with: a file, `none` or `image`.
    pub base_hosts_file: Option<String>,
    /// `oom_score_adj`: how early the kernel ends a container when memory is short.
    pub oom_score: Option<i64>,
    /// `pids_limit`: how many processes; 0 is no limit.
    pub pids_limit: Option<i64>,
    /// `seccomp_profile`: a file, or `unconfined`.
    pub seccomp_profile: Option<String>,
    /// `shm_size`: a size with a unit.
    pub shm_size: Option<String>,
    /// `tz`: the time zone, or `local`.
    pub time_zone: Option<String>,
    /// `umask`: octal digits.
    pub umask: Option<String>,
    /// `[engine] stop_timeout`: seconds.
    pub stop_timeout: Option<i64>,
    /// What `[engine]` says besides.
    pub engine: EngineConf,
    /// What `[network]` says.
    pub network: NetworkConf,
}

/// How the networks of containers are made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkConf {
    /// `network_config_dir`: the directory of the networks.
    pub directory: Option<PathBuf>,
    /// `default_network`: the name of the network that is there without a file.
    pub usual: Option<String>,
    /// `default_subnet`: its addresses, such as `10.88.0.0/16`.
    pub usual_subnet: Option<String>,
    /// `default_subnet_pools`: blocks that addresses of networks are taken from, each with the bits that all addresses on
    /// one of them have in common.
    pub subnet_pools: Option<Vec<(String, i64)>>,
    /// `dns_bind_port`: where names are answered.
    pub dns_port: Option<i64>,
    /// `firewall_driver`: what rules are made with.
    pub firewall: Option<String>,
    /// `pasta_options`: words of pasta's, before those of a container.
    pub pasta_options: Option<Vec<String>>,
}

/// How layers are compressed that are pushed, where no flag says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompressionConf {
    /// `compression_format`: `gzip`, `zstd` or `zstd:chunked`.
    pub format: Option<String>,
    /// `compression_level`: as the format has levels.
    pub level: Option<i64>,
    /// `add_compression`: in which formats the images of a list come too.
    pub added: Option<Vec<String>>,
}

/// What an engine does where no flag says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineConf {
    /// `cdi_spec_dirs`: where files describe devices of vendors.
    pub cdi_directories: Option<Vec<PathBuf>>,
    /// `cgroup_manager`: who makes control groups, `systemd` or `cgroupfs`.
    pub cgroup_manager: Option<String>,
    /// How layers are compressed.
    pub compression: CompressionConf,
    /// `detach_keys`: the keys that leave a container running; empty is none.
    pub detach_keys: Option<String>,
    /// `env`: variables of the engine itself, `NAME=VALUE`.
    pub environment: Option<Vec<String>>,
    /// `events_logger`: where it is told what is done, `file`, `journald` or `none`.
    pub events_logger: Option<String>,
    /// `events_logfile_path`: the file.
    pub events_file: Option<PathBuf>,
    /// `events_logfile_max_size`: the most that it has, such as `1m`.
    pub events_file_size: Option<String>,
    /// `events_container_create_inspect_data`: whether the event of a container's creation has all that `inspect` says.
    pub events_inspect: Option<bool>,
    /// `helper_binaries_dir`: where programs for networks are looked for.
    pub helpers: Option<Vec<PathBuf>>,
    /// `hooks_dir`: where files say which hooks containers have.
    pub hooks: Option<Vec<PathBuf>>,
    /// `image_volume_mode`: what becomes of an image's volumes, `anonymous`, `tmpfs` or `ignore`.
    pub image_volumes: Option<String>,
    /// `infra_image`: the image of the infra containers of pods.
    pub infra_image: Option<String>,
    /// `infra_command`: what runs in infra containers that have an image.
    pub infra_command: Option<String>,
    /// `init_path`, of `[containers]` too: the program that is the init of containers that want one.
    pub init: Option<PathBuf>,
    /// `multi_image_archive`: whether all names of `save` are those of images.
    pub multi_image_archive: Option<bool>,
    /// `pod_exit_policy`: what becomes of a pod when its last container ends, `continue` or `stop`.
    pub pod_exit_policy: Option<String>,
    /// `pull_policy`: when images are pulled.
    pub pull_policy: Option<String>,
    /// `runtime`: what runs containers, a name or a path.
    pub runtime: Option<String>,
    /// `volume_path`: the directory of volumes.
    pub volume_path: Option<PathBuf>,
    /// `[engine.runtimes]`: where runtimes are looked for, by their names, in this order.
    pub runtimes: BTreeMap<String, Vec<PathBuf>>,
}

impl EngineConf {
    /// The first file that is there of those that are listed for a runtime.
    #[must_use]
    pub fn find_runtime(&self, name: &str) -> Option<&Path> {
        let mut listed = self.runtimes.get(name).into_iter().flatten();
        listed.find(|path| path.is_file()).map(PathBuf::as_path)
    }
}

/// Lists, each of which replaces that of a file read before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContainerLists {
    /// `annotations`: `NAME=VALUE`.
    pub annotations: Option<Vec<String>>,
    /// `default_capabilities`: those of every container.
    pub capabilities: Option<Vec<String>>,
    /// `default_sysctls`: `NAME=VALUE`.
    pub sysctls: Option<Vec<String>>,
    /// `default_ulimits`: `NAME=SOFT:HARD`.
    pub limits: Option<Vec<String>>,
    /// `devices`: `HOST[:CONTAINER[:rwm]]`.
    pub devices: Option<Vec<String>>,
    /// `dns_options`.
    pub dns_options: Option<Vec<String>>,
    /// `dns_searches`.
    pub dns_searches: Option<Vec<String>>,
    /// `dns_servers`.
    pub dns_servers: Option<Vec<String>>,
    /// `env`: `NAME=VALUE`.
    pub environment: Option<Vec<String>>,
    /// `mounts`, as of `--mount`.
    pub mounts: Option<Vec<String>>,
    /// `volumes`, as of `--volume`.
    pub volumes: Option<Vec<String>>,
}

/// What is true or false.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContainerSwitches {
    /// `env_host`.
    pub env_host: Option<bool>,
    /// `http_proxy`.
    pub http_proxy: Option<bool>,
    /// `init`.
    pub init: Option<bool>,
    /// `no_hosts`.
    pub no_hosts: Option<bool>,
    /// `read_only`.
    pub read_only: Option<bool>,
}

/// Where a container has something for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContainerModes {
    /// `cgroupns`.
    pub control_groups: Option<String>,
    /// `ipcns`.
    pub ipc: Option<String>,
    /// `netns`.
    pub network: Option<String>,
    /// `pidns`.
    pub pid: Option<String>,
    /// `userns`.
    pub users: Option<String>,
    /// `utsns`.
    pub uts: Option<String>,
}
