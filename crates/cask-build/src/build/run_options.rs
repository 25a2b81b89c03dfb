//! What the commands of a build get, and what they may do.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cask_containerfile::instruction::MountFlag;
use cask_runtime::{
    Capability, CdiEdits, CgroupLimits, Device, GivenFile, Limit, Network, Seccomp, SeccompProfile,
};

use super::networks::StageNetwork;
use crate::volume::Volume;
use crate::working::{WorkingNamespaces, WorkingUsers};

/// The name that commands see the machine have: the same everywhere, so that it changes nothing.
///
/// Source: BuildKit, `BUILDKIT_SANDBOX_HOSTNAME`.
pub const BUILD_HOST_NAME: &str = "buildkitsandbox";

/// What the commands of a build get, and what they may do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunOptions {
    /// The network of commands that ask for none.
    pub network: BuildNetwork,
    /// What names stand for.
    pub names: HostNames,
    /// What commands may do.
    pub privileges: RunPrivileges,
    /// Bytes that `/dev/shm` may hold.
    pub shared_memory_bytes: u64,
    /// `--ulimit`.
    pub limits: Vec<Limit>,
    /// `-v`: directories of the machine, in every command.
    pub volumes: Vec<Volume>,
    /// `--secret`, by its ID.
    pub secrets: BTreeMap<String, Secret>,
    /// `--ssh`: the sockets of agents, by their ID; `default` is the one that is meant where a
    /// mount names none.
    pub agents: BTreeMap<String, PathBuf>,
    /// Proxies of the machine that commands use: `http_proxy` and its like.
    pub proxies: BTreeMap<String, String>,
    /// A shell to run where a command failed, as that left it, on the
    /// [terminal](super::BuildTools::terminal) of the build.
    pub debug_shell: Option<Vec<String>>,
    /// What a command and all that it starts may use together, and below which group; only the native
    /// executor limits. Does not count for the cache: the result is the same.
    pub resources: Option<Resources>,
    /// Devices besides those that every command has.
    pub devices: Vec<Device>,
    /// `--device VENDOR/CLASS=NAME`: devices that vendors describe.
    pub described_devices: DescribedDevices,
    /// What mounts.conf says: files of the machine that commands are given copies of, where nothing else is mounted.
    pub given_files: Vec<GivenFile>,
    /// `--ipc`, `--pid`, `--uts` and `--cgroupns`: what commands have for themselves, or with others.
    pub namespaces: WorkingNamespaces,
    /// `--group-add`: groups of every command's user besides its own, by their name in the image or
    /// their number.
    pub groups: Vec<String>,
    /// `--userns` and its maps: users that commands have for themselves. What they make belongs, in layers, to the users
    /// inside.
    pub users: WorkingUsers,
    /// `--stdin`: commands read what this program does, which their cache knows nothing of.
    pub input: bool,
    /// `--group-add keep-groups`: commands stay in the groups of whoever builds.
    pub keep_groups: bool,
    /// `--compat-volumes`: what commands change in volumes of the image is lost.
    pub keeps_volumes: bool,
    /// `--mount`: what every command has besides, as `RUN --mount` says it.
    pub mounts: Vec<MountFlag>,
    /// Settings of the kernel, `NAME=VALUE`, as far as commands have for themselves what they are of.
    pub sysctls: Vec<String>,
}

impl Default for RunOptions {
    /// The network of the machine, 64 MiB of shared memory, and nothing else of it.
    fn default() -> Self {
        Self {
            network: BuildNetwork::Host,
            names: HostNames::default(),
            privileges: RunPrivileges::default(),
            shared_memory_bytes: 64 << 20,
            limits: Vec::new(),
            volumes: Vec::new(),
            secrets: BTreeMap::new(),
            agents: BTreeMap::new(),
            proxies: BTreeMap::new(),
            debug_shell: None,
            resources: None,
            devices: Vec::new(),
            described_devices: DescribedDevices::default(),
            given_files: Vec::new(),
            namespaces: WorkingNamespaces::default(),
            groups: Vec::new(),
            users: WorkingUsers::default(),
            input: false,
            keep_groups: false,
            keeps_volumes: false,
            mounts: Vec::new(),
            sysctls: Vec::new(),
        }
    }
}

/// Devices of the Container Device Interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribedDevices {
    /// Their names: `VENDOR/CLASS=NAME`.
    pub names: Vec<String>,
    /// The directories with the files of vendors, of which a later one's come before those of the same names of others.
    pub directories: Vec<PathBuf>,
}

impl DescribedDevices {
    /// What commands get with them, as the files are now.
    pub(crate) fn find(&self) -> crate::Result<CdiEdits> {
        CdiEdits::find(&self.names, &self.directories)
            .map_err(|error| crate::Error::runtime(error, "the devices of vendors"))
    }
}

/// What a command and all that it starts may use together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// The limits.
    pub limits: CgroupLimits,
    /// The control group below which there is one for each command; `None` for the topmost.
    pub parent: Option<String>,
}

/// The network that commands have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BuildNetwork {
    /// One of their own, with a loopback interface alone.
    None,
    /// The machine's, its loopback interface and abstract sockets included.
    #[default]
    Host,
    /// One that the [tools](super::BuildTools::networks) make for the commands of a stage.
    Private,
}

impl BuildNetwork {
    /// The word for it in `--network`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Host => "host",
            Self::Private => "private",
        }
    }

    /// As the executor has it; `own` is the one that was made for the stage.
    pub(crate) fn of_process(self, own: Option<&StageNetwork>) -> Network {
        match (self, own) {
            (Self::Private, Some(own)) => Network::Join(Arc::clone(&own.namespace)),
            (Self::Host, _) => Network::Host,
            (Self::None | Self::Private, _) => Network::None,
        }
    }
}

/// What names stand for in commands: the files `/etc/hosts` and `/etc/resolv.conf`, and the name of
/// the machine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HostNames {
    /// The name that commands see the machine have.
    pub host_name: String,
    /// `--add-host`: names and their addresses.
    pub hosts: Vec<(String, IpAddr)>,
    /// Names of this machine, where commands can reach it: `--add-host NAME:host-gateway`.
    pub gateway_names: Vec<String>,
    /// Leaves the image's own `/etc/hosts`: `--no-hosts`.
    pub keep_hosts_file: bool,
    /// Leaves the image's own `/etc/hostname`: `--no-hostname`.
    pub keep_host_name_file: bool,
    /// The text of the machine's resolv.conf, from which the network `host` has its servers.
    pub resolv_conf: String,
    /// `--dns`: servers instead of those.
    pub servers: Vec<IpAddr>,
    /// `--dns-search`: domains instead of those.
    pub search: Vec<String>,
    /// `--dns-option`: options instead of those.
    pub options: Vec<String>,
}

impl Default for HostNames {
    fn default() -> Self {
        Self {
            host_name: BUILD_HOST_NAME.to_owned(),
            hosts: Vec::new(),
            gateway_names: Vec::new(),
            keep_hosts_file: false,
            keep_host_name_file: false,
            resolv_conf: String::new(),
            servers: Vec::new(),
            search: Vec::new(),
            options: Vec::new(),
        }
    }
}

/// What the commands of a build may do.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RunPrivileges {
    /// Those that commands have before anything is added; `None` for the usual ones.
    pub usual: Option<Vec<Capability>>,
    /// `--cap-add`.
    pub add: Vec<Capability>,
    /// `--cap-drop`; what is in both is not given.
    pub drop: Vec<Capability>,
    /// `--security-opt seccomp=unconfined`.
    pub seccomp: Seccomp,
    /// `--security-opt seccomp=FILE`: instead of the usual profile.
    pub seccomp_profile: Option<Arc<SeccompProfile>>,
    /// `--security-opt no-new-privileges`.
    pub no_new_privileges: bool,
    /// `--security-opt mask`: what of the kernel commands do not see either.
    pub mask: Vec<PathBuf>,
    /// `--security-opt unmask`: what is usually hidden or protected, and is not.
    pub unmask: Unmask,
    /// `--allow network.host`: lets `RUN --network=host` have the machine's network where others have their own.
    pub danger_allow_host_network: bool,
    /// `--allow security.insecure`: lets `RUN --security=insecure` have every capability.
    pub danger_allow_insecure: bool,
}

/// What of the kernel that is usually hidden or protected is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Unmask {
    /// Nothing of it.
    #[default]
    Nothing,
    /// These paths, and what is below them.
    Below(Vec<PathBuf>),
    /// All of it.
    All,
}

impl Unmask {
    /// Whether a path is neither hidden nor protected.
    pub(crate) fn has(&self, path: &Path) -> bool {
        match self {
            Self::Nothing => false,
            Self::Below(paths) => paths.iter().any(|above| path.starts_with(above)),
            Self::All => true,
        }
    }
}

/// Bytes that nobody but the command that asks for them sees: never in a key, a layer, the history
/// or a message.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// The longest secret, in bytes. Source: BuildKit, `MaxSecretSize`.
    pub const MAX_BYTES: usize = 500 << 10;

    /// Takes the bytes of a secret.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    pub(crate) fn danger_bytes(&self) -> &Arc<[u8]> {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}
