//! What a container is made of: said once when it is made, and kept with it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::mounts::MountConfig;
use crate::{Error, ErrorKind};

/// Everything that a container was made with.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ContainerConfig {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was made, in RFC 3339.
    pub created: String,
    /// The image that it was made from; empty for one that has a root of its own.
    pub image_id: String,
    /// What the image was called then.
    pub image_name: String,
    /// The digest of the image's manifest.
    pub image_digest: String,
    /// The layer that it writes to.
    pub layer: String,
    /// A directory that is its root instead of a layer.
    pub rootfs: Option<PathBuf>,
    /// Nothing is changed in that directory, but beside it.
    pub rootfs_overlay: bool,
    /// What runs it; `None` is the native executor.
    pub runtime: Option<RuntimeConfig>,
    /// What runs.
    pub process: ProcessConfig,
    /// What it may do.
    pub security: SecurityConfig,
    /// What it sees of files besides its root.
    pub files: FilesConfig,
    /// Whom its files of accounts name.
    pub accounts: AccountsConfig,
    /// The secrets that it is given whenever it starts.
    pub secrets: Vec<super::SecretConfig>,
    /// What it reaches.
    pub network: NetworkConfig,
    /// What it shares with others.
    pub namespaces: NamespacesConfig,
    /// How much it may use.
    pub resources: ResourcesConfig,
    /// How it ends and begins again.
    pub lifecycle: LifecycleConfig,
    /// The pod that it is in.
    pub pod: PodMembership,
    /// How it is checked.
    pub health: super::health::HealthConfig,
    /// Where its output goes.
    pub log: LogConfig,
    /// Labels: the image's, and its own.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// The command line that made it.
    pub create_command: Vec<String>,
}

/// An OCI runtime that a container runs with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RuntimeConfig {
    /// What it was called: `runc`, or a path.
    pub name: String,
    /// The program: an absolute path.
    pub program: PathBuf,
    /// Options of the program, without the two hyphens.
    pub flags: Vec<String>,
    /// The program that is the init of containers that want one; `None` is one of the usual ones.
    pub init: Option<PathBuf>,
}

/// What runs in a container.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ProcessConfig {
    /// The entry point; `None` is the image's.
    pub entrypoint: Option<Vec<String>>,
    /// The command; empty is the image's, where the entry point is the image's too.
    pub command: Vec<String>,
    /// The environment: `NAME=value`.
    pub environment: Vec<String>,
    /// Variables that hold where the image has none of the name.
    pub default_environment: Vec<String>,
    /// More of it, in which `$NAME` and `${NAME}` are the image's.
    pub merged_environment: Vec<String>,
    /// Names that are taken out of the image's environment; `*` is all of them.
    pub unset_environment: Vec<String>,
    /// Where it begins; `None` is the image's.
    pub directory: Option<String>,
    /// Somebody named that directory: it must be there. The image's is made where it is missing.
    pub directory_named: bool,
    /// Its user; `None` is the image's.
    pub user: Option<String>,
    /// More groups; `keep-groups` alone is those of whoever starts it.
    pub groups: Vec<String>,
    /// It has a terminal.
    pub terminal: bool,
    /// Its input stays open.
    pub interactive: bool,
    /// A small init is its number 1.
    pub init: bool,
    /// Nothing runs but a process that waits until it is asked to end.
    pub pause: bool,
    /// A program that is that init; `None` is our own, or with an external runtime one of the machine's.
    pub init_program: Option<PathBuf>,
    /// Its command is systemd, or one that wants what systemd does.
    pub systemd: bool,
    /// Bits that new files do not get.
    pub umask: Option<u32>,
    /// Limits: `nofile=1024:2048`.
    pub limits: Vec<String>,
    /// How early the kernel ends it when memory is short.
    pub oom_score: Option<i16>,
    /// The time zone: a file below `/usr/share/zoneinfo`, or `local`.
    pub time_zone: Option<String>,
    /// What the kernel pretends to be: `LINUX` or `LINUX32`; empty is what it is.
    pub personality: String,
}

/// What a container may do.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct SecurityConfig {
    /// All capabilities, all devices, nothing masked.
    pub privileged: bool,
    /// Capabilities of every container; none is the usual ones.
    pub usual: Vec<String>,
    /// Capabilities besides the usual ones.
    pub add: Vec<String>,
    /// Usual capabilities that it does not get.
    pub drop: Vec<String>,
    /// Every call of the kernel is allowed.
    pub seccomp_unconfined: bool,
    /// The text of a seccomp profile instead of the usual one; empty is the usual one.
    pub seccomp_profile: String,
    /// Set-user-ID programs give nothing.
    pub no_new_privileges: bool,
    /// More paths that appear empty.
    pub mask: Vec<String>,
    /// Paths that are not masked; `ALL` is every one.
    pub unmask: Vec<String>,
    /// What was written as `--security-opt`.
    pub options: Vec<String>,
}

/// What a container sees of files.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct FilesConfig {
    /// Mounts.
    pub mounts: Vec<MountConfig>,
    /// Whose volumes are among them, as it was said: `CONTAINER[:OPTIONS]`.
    pub volumes_from: Vec<String>,
    /// Devices: `HOST[:CONTAINER[:rwm]]`.
    pub devices: Vec<String>,
    /// Bytes of `/dev/shm`.
    pub shm_bytes: Option<u64>,
    /// Bytes of each of the directories that systemd has in memory; `None` or 0 is no limit.
    pub systemd_bytes: Option<u64>,
    /// The root cannot be written.
    pub read_only: bool,
    /// With a root that cannot be written, `/run`, `/tmp` and `/var/tmp` can.
    pub read_only_tmpfs: bool,
    /// What becomes of the image's volumes: `anonymous`, `tmpfs` or `ignore`.
    pub image_volumes: String,
    /// Settings of the kernel: `NAME=VALUE`.
    pub sysctls: Vec<String>,
    /// Whether `/etc/hosts` is left as the image has it.
    pub no_hosts: bool,
    /// What `/etc/hosts` begins with: this machine's file, where nothing else is said.
    pub hosts_base: Option<HostsBase>,
    /// Whether `/etc/hostname` is left as the image has it.
    pub no_hostname: bool,
    /// Directories of other roots, whose `etc/hosts` and `etc/resolv.conf` are the container's too.
    pub more_roots: Vec<PathBuf>,
}

/// What `/etc/hosts` of a container begins with instead of this machine's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum HostsBase {
    /// Nothing.
    Nothing,
    /// The image's file.
    Image,
    /// A file of this machine.
    File(PathBuf),
}

impl HostsBase {
    /// Reads `none`, `image`, an absolute path, or nothing, which is this machine's file.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`].
    ///
    /// Source: podman, `libpod/container_internal_common.go`, `addHosts`.
    pub fn parse(text: &str) -> Result<Option<Self>, Error> {
        Ok(match text {
            "" => None,
            "none" => Some(Self::Nothing),
            "image" => Some(Self::Image),
            path if path.starts_with('/') => Some(Self::File(path.into())),
            _ => {
                let why = "it is an absolute path, \"none\" or \"image\"";
                let words = format!("hosts file {text:?}");
                return Err(Error::new(ErrorKind::Invalid, words, why));
            }
        })
    }
}

/// Whom `/etc/passwd` and `/etc/group` of a container name besides those of its image.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct AccountsConfig {
    /// Nobody: the files stay as they are.
    pub unchanged: bool,
    /// The line for a user by number, with `$USERNAME`, `$UID`, `$GID`, `$NAME` and `$HOME`.
    pub user_entry: Option<String>,
    /// The line for its group, with `$GROUPNAME`, `$GID` and `$USERLIST`.
    pub group_entry: Option<String>,
    /// More lines of `/etc/passwd`.
    pub more: Vec<String>,
    /// More lines of `/etc/group`.
    pub more_groups: Vec<String>,
}

/// What a container reaches.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct NetworkConfig {
    /// Which network.
    pub mode: NetworkMode,
    /// Where that is pasta: options that are usual, before those of its own.
    pub pasta_options: Vec<String>,
    /// Ports of this machine that lead to its own.
    pub ports: Vec<PortMapping>,
    /// Ports that it says it listens on: `80/tcp`.
    pub exposed: Vec<String>,
    /// Host name; `None` is the beginning of the ID.
    pub hostname: Option<String>,
    /// Domain name.
    pub domainname: Option<String>,
    /// Lines for `/etc/hosts`: `NAME:ADDRESS`.
    pub add_hosts: Vec<String>,
    /// The address of `host.containers.internal` in it; `none` is that there is none, and `None` what the network
    /// says.
    pub host_address: Option<String>,
    /// Servers for `/etc/resolv.conf`.
    pub dns: Vec<String>,
    /// Domains for it.
    pub dns_search: Vec<String>,
    /// Options for it.
    pub dns_options: Vec<String>,
    /// The networks of names that it is on, in the order of its interfaces.
    pub attachments: Vec<NetworkAttachment>,
}

/// How a container is on a network of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkAttachment {
    /// The network.
    pub network: String,
    /// Its interface; empty is one that is free.
    pub interface: String,
    /// The addresses that it asks for.
    pub addresses: Vec<std::net::IpAddr>,
    /// More names on this network.
    pub aliases: Vec<String>,
    /// The hardware address that it asks for.
    pub mac: Option<String>,
}

/// A port of this machine that leads to one of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortMapping {
    /// The address of this machine; empty is every one.
    pub host_ip: String,
    /// The port of the container.
    pub container_port: u16,
    /// The port of this machine; 0 is any.
    pub host_port: u16,
    /// How many ports in a row.
    pub range: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

/// What a container shares with others.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct NamespacesConfig {
    /// Processes.
    pub pid: SpaceMode,
    /// Shared memory and queues.
    pub ipc: SpaceMode,
    /// No other container may join those.
    pub ipc_alone: bool,
    /// Host name.
    pub uts: SpaceMode,
    /// Control groups.
    pub cgroup: SpaceMode,
    /// Users.
    pub user: super::users::UsersConfig,
}

/// How much a container may use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ResourcesConfig {
    /// Memory, in bytes.
    pub memory: Option<u64>,
    /// Memory and swap, in bytes; -1 is no limit.
    pub memory_swap: Option<i64>,
    /// Memory above which it is taken back, in bytes.
    pub memory_reservation: Option<u64>,
    /// Processors, in billionths.
    pub nano_cpus: Option<u64>,
    /// The period of its quota, in microseconds.
    pub cpu_period: Option<u64>,
    /// Its processor time in each period, in microseconds.
    pub cpu_quota: Option<u64>,
    /// Its share of processor time.
    pub cpu_shares: Option<u64>,
    /// The processors that it may use.
    pub cpuset_cpus: Option<String>,
    /// The memory nodes that it may use.
    pub cpuset_mems: Option<String>,
    /// How many processes; -1 is no limit.
    pub pids: Option<i64>,
    /// How many processes where `pids` says nothing. A container runs without this limit where it cannot be had.
    pub usual_pids: Option<i64>,
    /// How readily its memory is swapped, from 0 to 100.
    pub swappiness: Option<u64>,
    /// Where memory is short, its processes wait instead of being killed.
    pub waits_for_memory: bool,
    /// How fast it reads and writes single disks.
    pub disks: Vec<DiskLimit>,
    /// Which part of disks' time it gets: 10 to 1000.
    pub disk_weight: Option<u16>,
    /// The same for single disks.
    pub disk_weights: Vec<DiskWeight>,
    /// The period of its quota of real time, in microseconds.
    pub real_time_period: Option<u64>,
    /// Its real time in each such period, in microseconds.
    pub real_time_runtime: Option<u64>,
    /// Devices that it may use where it has nodes of them: `b|c|a MAJOR:MINOR rwm`.
    pub device_rules: Vec<String>,
    /// Settings of its control group by the names of files.
    pub control_group_settings: BTreeMap<String, String>,
    /// `enabled`; `no-conmon`: its monitor stays in the group of whoever starts it; `split`: both are within that group;
    /// `disabled`: it has no control group.
    pub cgroups: String,
    /// The control group above its own; with systemd, a slice.
    pub cgroup_parent: Option<String>,
    /// `systemd` where that makes its control group.
    pub cgroup_manager: String,
}

/// How fast a disk is read or written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskLimit {
    /// The disk: a path of this machine.
    pub path: PathBuf,
    /// What is limited: `read-bps`, `read-iops`, `write-bps` or `write-iops`.
    pub what: String,
    /// How much of it in a second.
    pub most: u64,
}

/// Which part of a disk's time is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskWeight {
    /// The disk: a path of this machine.
    pub path: PathBuf,
    /// From 10 to 1000.
    pub weight: u16,
}

/// How a container ends and begins again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct LifecycleConfig {
    /// It is removed when it ends.
    pub auto_remove: bool,
    /// Whether it begins again.
    pub restart: RestartPolicy,
    /// The signal that asks it to end; `None` is the image's.
    pub stop_signal: Option<i32>,
    /// Seconds from this signal to its end.
    pub stop_timeout: Option<u32>,
    /// Seconds that it may run; 0 is for ever.
    pub timeout: u64,
    /// Who tells the manager of services that it is ready: `conmon`, which is its monitor's starter, `container`, or
    /// `ignore`; empty is nobody's wish.
    pub notify: String,
    /// The file that its ID was written to.
    pub id_file: Option<PathBuf>,
    /// A file that the number of its first process is written to whenever it starts.
    pub pid_file: Option<PathBuf>,
    /// A file that the number of its monitor is written to whenever it starts.
    pub monitor_pid_file: Option<PathBuf>,
    /// Containers that it cannot do without, by ID: they are started before it, and not removed before it.
    pub requires: Vec<String>,
}

/// The pod that a container is in, and what it is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct PodMembership {
    /// The ID of the pod; empty is none.
    pub id: String,
    /// It is the one whose namespaces the others share.
    pub infra: bool,
    /// It runs, and ends, before the others begin: `always`, or `once`, after which it is removed; empty is that it does
    /// not.
    pub init: String,
}

/// Whether a container that ended begins again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum RestartPolicy {
    /// Nobody said so, and it does not.
    #[default]
    Unsaid,
    /// It does not.
    No,
    /// If it failed, as often at most; 0 is always.
    OnFailure(u32),
    /// It does, until somebody stops it.
    Always,
    /// As `Always`.
    UnlessStopped,
}

/// Where the output of a container goes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct LogConfig {
    /// One of [`LOG_DRIVERS`](crate::LOG_DRIVERS), or `json-file`; empty is the first of them.
    pub driver: String,
    /// The file; `None` is one with the container.
    pub path: Option<PathBuf>,
    /// The log begins anew above so many bytes; old ones are kept as `FILE.1`, `FILE.2` and so on, the latest first.
    pub max_size_bytes: Option<u64>,
    /// How many files it is then, with the old ones, from 1 to 1000; `None` is 2.
    pub max_files: Option<u32>,
    /// A word for every line, for the journal alone: a text, or a template for who makes the container.
    pub tag: Option<String>,
    /// What the template became.
    pub tag_text: Option<String>,
}

impl LogConfig {
    /// How many files there are of it at most, with the old ones.
    pub(super) fn most_files(&self) -> u32 {
        self.max_files.unwrap_or(2)
    }

    /// The word for every line.
    pub(super) fn written_tag(&self) -> Option<&str> {
        self.tag_text.as_deref().or(self.tag.as_deref())
    }
}

/// Where a container has something: for itself, or together with others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
#[non_exhaustive]
pub enum SpaceMode {
    /// For itself.
    #[default]
    Private,
    /// What this machine has.
    Host,
    /// What another container has: its ID.
    Container(String),
    /// What the namespace of a file has.
    Path(PathBuf),
    /// For itself, and without memory that processes share in `/dev/shm`: only of shared memory.
    None,
}

/// Which network a container has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
#[non_exhaustive]
pub enum NetworkMode {
    /// Those of these names; none is the default one.
    Bridge(Vec<String>),
    /// A loopback interface only.
    #[default]
    None,
    /// This machine's.
    Host,
    /// That of pasta, which a user may have, with its options.
    Pasta(Vec<String>),
    /// Another container's: its ID.
    Container(String),
    /// That of the namespace of a file.
    Path(PathBuf),
}

fn invalid(what: &str, text: &str, why: &str) -> Error {
    Error::new(ErrorKind::Invalid, format_args!("invalid {what} {text:?}"), why)
}

impl FromStr for SpaceMode {
    type Err = Error;

    /// Reads `private`, `shareable`, `host`, `none`, `container:NAME` or `ns:PATH`.
    fn from_str(text: &str) -> Result<Self, Error> {
        Ok(match (text, text.split_once(':')) {
            ("" | "private" | "shareable", _) => Self::Private,
            ("host", _) => Self::Host,
            ("none", _) => Self::None,
            (_, Some(("container", name))) if !name.is_empty() => Self::Container(name.to_owned()),
            (_, Some(("ns", path))) if path.starts_with('/') => Self::Path(path.into()),
            _ => {
                let why = "it is private, host, container:NAME or ns:PATH";
                return Err(invalid("namespace mode", text, why));
            }
        })
    }
}

impl fmt::Display for SpaceMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Private => f.write_str("private"),
            Self::Host => f.write_str("host"),
            Self::Container(id) => write!(f, "container:{id}"),
            Self::Path(path) => write!(f, "ns:{}", path.display()),
            Self::None => f.write_str("none"),
        }
    }
}

impl FromStr for NetworkMode {
    type Err = Error;

    /// Reads `none`, `host`, `bridge`, `private`, `container:NAME`, `ns:PATH`, or names of networks.
    fn from_str(text: &str) -> Result<Self, Error> {
        Ok(match (text, text.split_once(':')) {
            ("none", _) => Self::None,
            ("host", _) => Self::Host,
            ("" | "bridge" | "default" | "private", _) => Self::Bridge(Vec::new()),
            (_, Some(("container", name))) if !name.is_empty() => Self::Container(name.to_owned()),
            (_, Some(("ns", path))) if path.starts_with('/') => Self::Path(path.into()),
            ("pasta", None) => Self::Pasta(Vec::new()),
            (_, Some(("pasta", options))) => {
                Self::Pasta(options.split(',').map(ToOwned::to_owned).collect())
            }
            (_, Some(("slirp4netns", _))) | ("slirp4netns", _) => {
                let why = "slirp4netns is not supported: pasta does the same";
                return Err(invalid("network", text, why));
            }
            (_, Some(_)) => {
                let why = "it is none, host, bridge, container:NAME, ns:PATH, or names of networks";
                return Err(invalid("network", text, why));
            }
            (names, None) => Self::Bridge(names.split(',').map(ToOwned::to_owned).collect()),
        })
    }
}

impl fmt::Display for NetworkMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bridge(names) if names.is_empty() => f.write_str("bridge"),
            Self::Bridge(names) => f.write_str(&names.join(",")),
            Self::None => f.write_str("none"),
            Self::Host => f.write_str("host"),
            Self::Pasta(options) if options.is_empty() => f.write_str("pasta"),
            Self::Pasta(options) => write!(f, "pasta:{}", options.join(",")),
            Self::Container(id) => write!(f, "container:{id}"),
            Self::Path(path) => write!(f, "ns:{}", path.display()),
        }
    }
}

impl FromStr for RestartPolicy {
    type Err = Error;

    /// Reads `no`, `always`, `unless-stopped`, or `on-failure` with `:N` or without.
    fn from_str(text: &str) -> Result<Self, Error> {
        Ok(match text.split_once(':') {
            None => match text {
                "" => Self::Unsaid,
                "no" | "never" => Self::No,
                "always" => Self::Always,
                "unless-stopped" => Self::UnlessStopped,
                "on-failure" => Self::OnFailure(0),
                _ => {
                    let words = format!(
                        "running container create option: \"{text}\" is not a valid restart policy"
                    );
                    return Err(Error::new(ErrorKind::Invalid, words, "invalid argument"));
                }
            },
            Some(("on-failure", count)) => match count.parse() {
                Ok(count) => Self::OnFailure(count),
                Err(_) => {
                    let words =
                        "must specify restart policy retry count as a number greater than 0";
                    return Err(Error::new(ErrorKind::Invalid, "", words));
                }
            },
            Some(_) => {
                let words =
                    "restart policy retries can only be specified with on-failure restart policy";
                return Err(Error::new(ErrorKind::Invalid, "", words));
            }
        })
    }
}

impl RestartPolicy {
    /// Its name, without the number; empty where nobody said one.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unsaid => "",
            Self::No => "no",
            Self::OnFailure(_) => "on-failure",
            Self::Always => "always",
            Self::UnlessStopped => "unless-stopped",
        }
    }
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnFailure(count @ 1..) => write!(f, "on-failure:{count}"),
            other => f.write_str(other.name()),
        }
    }
}

macro_rules! as_text {
    ($($type:ty),*) => {$(
        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }

        impl TryFrom<String> for $type {
            type Error = Error;

            fn try_from(text: String) -> Result<Self, Error> {
                text.parse()
            }
        }
    )*};
}
as_text!(SpaceMode, NetworkMode, RestartPolicy);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read() {
        for text in ["", "no", "always", "unless-stopped", "on-failure", "on-failure:3"] {
            assert_eq!(text.parse::<RestartPolicy>().unwrap().to_string(), text);
        }
        for text in ["private", "host", "none", "container:a", "ns:/proc/1/ns/net"] {
            assert_eq!(text.parse::<SpaceMode>().unwrap().to_string(), text);
        }
        for text in ["none", "host", "bridge", "a,b", "container:a", "ns:/run/netns/x"] {
            assert_eq!(text.parse::<NetworkMode>().unwrap().to_string(), text);
        }
        for text in ["sometimes", "on-failure:x", "always:3"] {
            assert!(text.parse::<RestartPolicy>().is_err(), "{text}");
        }
        for text in ["container:", "ns:relative", "other"] {
            assert!(text.parse::<SpaceMode>().is_err(), "{text}");
        }
    }
}
