//! What shall run, and in what.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::FileType;

use crate::capability::CapabilitySet;
#[cfg(doc)]
use crate::cgroup::CgroupLimits;
use crate::cgroup::{Cgroup, DeviceAccess, DeviceKind, DeviceRule};
use crate::error::{Error, ErrorKind, Result};
use crate::hooks::Hooks;
use crate::identity::Identity;
use crate::limit::Limit;
use crate::mount::Mount;
use crate::seccomp::{Seccomp, SeccompProfile};

/// One process in one root filesystem: everything that an [`Executor`](crate::Executor) needs to know.
///
/// Nothing is inherited from the caller but what is said here: the environment is `process.environment`
/// and the descriptors are those of `io`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunSpec {
    /// The directory that is `/` for the process, opened by the caller (`O_PATH` is enough).
    pub root: Arc<OwnedFd>,
    /// The command and what it is given.
    pub process: Process,
    /// Its standard input, output and error.
    pub io: Io,
    /// What it sees of files besides the root.
    pub files: Files,
    /// What it may do.
    pub privileges: Privileges,
    /// The network that it has.
    pub network: Network,
    /// The users that it can be and see.
    pub users: UserNamespace,
    /// The name of the machine that it sees; `None` is this machine's.
    pub hostname: Option<OsString>,
    /// The domain (of NIS) that it sees; `None` is this machine's.
    pub domainname: Option<OsString>,
    /// What else it has for itself, shares with this machine, or with other processes.
    pub namespaces: Namespaces,
    /// Settings of the kernel, by their names in `/proc/sys` with dots or slashes, such as
    /// `net.ipv4.ip_forward`; those of namespaces that the process has for itself.
    pub sysctls: Vec<(String, String)>,
    /// The control group that it and all that it starts are in; `None` is this process's.
    pub cgroup: Option<Arc<Cgroup>>,
    /// What is run at the turns of its life.
    pub hooks: Hooks,
}

impl RunSpec {
    /// Runs `arguments` in `root`, with every default: as root of the image, without input or environment,
    /// output to this process's, the standard file systems, default capabilities and seccomp, no network.
    pub fn new(
        root: impl Into<Arc<OwnedFd>>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        Self {
            root: root.into(),
            process: Process {
                arguments: arguments.into_iter().map(Into::into).collect(),
                environment: Vec::new(),
                directory: PathBuf::from("/"),
                make_directory: false,
                identity: Identity::ROOT,
                umask: 0o022,
                limits: Vec::new(),
                init: false,
                pause: false,
                out_of_memory_score: None,
                keep_groups: false,
                personality: None,
            },
            io: Io {
                input: Input::Null,
                output: Output::Inherit,
                error: Output::Inherit,
                terminal: None,
                passed: Vec::new(),
            },
            files: Files::default(),
            privileges: Privileges::default(),
            network: Network::None,
            users: UserNamespace::Inherit,
            hostname: None,
            domainname: None,
            namespaces: Namespaces::default(),
            sysctls: Vec::new(),
            cgroup: None,
            hooks: Hooks::default(),
        }
    }
}

/// What a process has for itself besides its mounts, its network and its users.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Namespaces {
    /// The processes that it sees. Where it shares them, it ends with all that it started and did not leave to
    /// another parent; only its control group knows all of them.
    pub processes: Namespace,
    /// Shared memory and queues of System V, and message queues. `/dev/shm` is a mount, and its own.
    pub communication: Namespace,
    /// Host and domain name.
    pub names: Namespace,
    /// The control group that it takes for the topmost.
    pub control_groups: Namespace,
}

/// Where a process has something: for itself, or together with others.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Namespace {
    /// For itself.
    #[default]
    New,
    /// What this machine's processes have.
    Host,
    /// What the namespace has that this descriptor refers to, such as of a file in `/proc/PID/ns`.
    Join(Arc<OwnedFd>),
}

/// A command and what it is given.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Process {
    /// The command and its arguments. A command without `/` is looked for in the directories of `PATH` in
    /// `environment`, within the root, and in those of [`DEFAULT_PATH`] where there is no `PATH`.
    pub arguments: Vec<OsString>,
    /// Its environment. Of equal names the last holds; what has an empty name is left out.
    pub environment: Vec<(OsString, OsString)>,
    /// Where it begins: a directory of the root, absolute. It must exist, unless it is made.
    pub directory: PathBuf,
    /// That directory is made where it is missing, as runtimes do: also in mounts, where it stays.
    pub make_directory: bool,
    /// Its user and groups.
    pub identity: Identity,
    /// Bits that new files do not get.
    pub umask: u32,
    /// Its limits. Of several for one resource the last holds; unnamed ones are this process's.
    pub limits: Vec<Limit>,
    /// Puts a small init before the process, which reaps orphans. The process is then number 2, not 1.
    pub init: bool,
    /// There is no command, but a process that waits until it is asked to end, and reaps orphans meanwhile. The
    /// arguments say only what it is called. Only the native executor can.
    pub pause: bool,
    /// How early the kernel ends it when memory is short: -1000 to 1000; `None` is this process's.
    pub out_of_memory_score: Option<i16>,
    /// It stays in the groups that this process is in, besides its own group, and gets none of `identity.groups`: so a
    /// user's container may use what the user's groups may, though its user namespace has no names for them. Only the
    /// executors of our own can.
    pub keep_groups: bool,
    /// What the kernel pretends to be; `None` is what it pretends to be for this process. Only the executors of our
    /// own can.
    pub personality: Option<Personality>,
}

/// What a kernel pretends to be. Source: personality(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Personality {
    /// What it is.
    Linux,
    /// One for processors of 32 bits.
    Linux32,
}

impl Personality {
    /// Source: linux/personality.h.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Linux => 0,
            Self::Linux32 => 8,
        }
    }
}

impl std::str::FromStr for Personality {
    type Err = Error;

    /// Reads `LINUX` or `LINUX32`. Source: OCI runtime specification, config-linux.md, "Personality".
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "LINUX" => Ok(Self::Linux),
            "LINUX32" => Ok(Self::Linux32),
            _ => Err(Error::new(
                ErrorKind::InvalidSpec,
                "read the personality",
                format_args!("{text:?}"),
            )
            .with_detail("it is LINUX or LINUX32")),
        }
    }
}

/// Where a command without `/` is looked for when the environment has no `PATH`.
///
/// Source: `DefaultPathEnv` of containers-common and moby.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Standard input, output and error of a process.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Io {
    /// What it reads.
    pub input: Input,
    /// Where its output goes.
    pub output: Output,
    /// Where its errors go.
    pub error: Output,
    /// A new terminal of this size for all three, which the process has control of. It is only given to
    /// processes that are [created](crate::NativeExecutor::create), whose maker gets its other end.
    pub terminal: Option<TerminalSize>,
    /// Descriptors besides these three, each by a number of its own. Only the executors of our own pass them on.
    pub passed: Vec<PassedDescriptor>,
}

/// A descriptor that a process has from its beginning.
#[derive(Clone, Debug)]
pub struct PassedDescriptor {
    /// Its number in the process: 3 and above.
    pub number: u32,
    /// What it refers to.
    pub descriptor: Arc<OwnedFd>,
}

/// Characters that a terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TerminalSize {
    /// Lines.
    pub rows: u16,
    /// Characters of a line.
    pub columns: u16,
}

/// What a process reads as its standard input.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// Nothing: it is at its end at once.
    Null,
    /// This process's own standard input.
    Inherit,
    /// This file, pipe or socket.
    Descriptor(Arc<OwnedFd>),
}

/// Where a process writes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Output {
    /// Nowhere.
    Null,
    /// Where this process writes.
    Inherit,
    /// To this file, pipe or socket.
    Descriptor(Arc<OwnedFd>),
}

/// What a process sees of files besides its root.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Files {
    /// Mounts of the caller, in their order, on top of the standard ones.
    pub mounts: Vec<Mount>,
    /// Mounts `/proc`, `/sys` and `/dev`, as every container has them.
    pub standard: bool,
    /// Bytes that `/dev/shm` may hold.
    pub shared_memory_bytes: u64,
    /// There is no memory to share: no `/dev/shm`.
    pub no_shared_memory: bool,
    /// Nothing can be written but to mounts.
    pub read_only_root: bool,
    /// Paths that appear empty. One that does not exist is passed over.
    pub masked: Vec<PathBuf>,
    /// Paths that cannot be written. One that does not exist is passed over.
    pub read_only: Vec<PathBuf>,
    /// What of the control groups is mounted on `/sys/fs/cgroup`.
    pub control_groups: ControlGroupFiles,
    /// Devices besides those that every process has.
    pub devices: Vec<Device>,
    /// Devices of which nodes work wherever they are, though none is made: those that the
    /// [control group](CgroupLimits::devices) lets pass, which must have these rules too.
    pub device_rules: Vec<DeviceRule>,
    /// Device nodes of the root filesystem work. A node of an image may be this machine's disk.
    pub danger_root_devices: bool,
    /// `/sys` can be written, and `/proc` is nowhere protected by mounts but at `masked` and `read_only`.
    pub danger_writable_system: bool,
}

/// What a process sees of control groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ControlGroupFiles {
    /// Nothing.
    #[default]
    None,
    /// The files of its own group, which it cannot write.
    ReadOnly,
    /// As `ReadOnly`, and what an init needs it can write: its own group of version 2; of version 1 that without
    /// controllers.
    Writable,
}

/// A device that a process gets in its `/dev`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Device {
    /// Where: a path below `/dev`.
    pub path: PathBuf,
    /// Where this machine has it. In a user namespace no device can be made, and this one is mounted.
    pub source: PathBuf,
    /// A block device; otherwise one of characters.
    pub block: bool,
    /// Its major number.
    pub major: u32,
    /// Its minor number.
    pub minor: u32,
    /// Its permissions.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// What may be done with it, where the [control group](CgroupLimits::devices) says so too.
    pub access: DeviceAccess,
}

impl Device {
    /// The device that `path` of this machine is, at `inside`.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Denied`, and `InvalidSpec` where it is no device.
    pub fn of(path: &Path, inside: impl Into<PathBuf>) -> Result<Self> {
        let failed = |error| Error::io(error, "look at the device", path.display());
        let found = rustix::fs::stat(path).map_err(failed)?;
        let kind = FileType::from_raw_mode(found.st_mode);
        if !matches!(kind, FileType::BlockDevice | FileType::CharacterDevice) {
            return Err(Error::new(ErrorKind::InvalidSpec, "look at the device", path.display())
                .with_detail("not a device node"));
        }
        Ok(Self {
            path: inside.into(),
            source: std::path::absolute(path)
                .map_err(|error| Error::io(error, "look at the device", path.display()))?,
            block: kind == FileType::BlockDevice,
            major: rustix::fs::major(found.st_rdev),
            minor: rustix::fs::minor(found.st_rdev),
            mode: found.st_mode & 0o777,
            uid: found.st_uid,
            gid: found.st_gid,
            access: DeviceAccess::ALL,
        })
    }

    /// The rule that lets it be used.
    pub fn rule(&self) -> DeviceRule {
        DeviceRule {
            kind: if self.block { DeviceKind::Block } else { DeviceKind::Character },
            major: Some(self.major),
            minor: Some(self.minor),
            access: self.access,
        }
    }
}

/// What peers mask.
///
/// Source: `MaskedPaths` of the default configuration of podman 4.3 and buildah 1.28, with what later ones added.
const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// What peers make read-only.
const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

impl Default for Files {
    /// The standard mounts, 64 MiB of shared memory, the paths of the kernel hidden and protected that
    /// buildah and podman hide and protect.
    fn default() -> Self {
        Self {
            mounts: Vec::new(),
            standard: true,
            shared_memory_bytes: 64 << 20,
            no_shared_memory: false,
            read_only_root: false,
            masked: MASKED.map(PathBuf::from).to_vec(),
            read_only: READ_ONLY.map(PathBuf::from).to_vec(),
            control_groups: ControlGroupFiles::None,
            devices: Vec::new(),
            device_rules: Vec::new(),
            danger_root_devices: false,
            danger_writable_system: false,
        }
    }
}

/// What a process may do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Privileges {
    /// The most that it can ever have. Root has all of them from the beginning, other users [those of
    /// theirs](Self::ambient); root's inheritable and ambient sets are always empty.
    pub capabilities: CapabilitySet,
    /// What a user who is not root has of them from the beginning, and the commands that it runs: none, where nobody
    /// says something else.
    pub ambient: CapabilitySet,
    /// Which calls of the kernel it may make.
    pub seccomp: Seccomp,
    /// A profile instead of the usual one; with [`Seccomp::DangerUnconfined`] it is not looked at.
    pub seccomp_profile: Option<Arc<SeccompProfile>>,
    /// Set-user-ID bits and file capabilities give it nothing, for ever (`sudo` fails).
    pub no_new_privileges: bool,
}

impl Default for Privileges {
    fn default() -> Self {
        Self {
            capabilities: CapabilitySet::default(),
            ambient: CapabilitySet::NONE,
            seccomp: Seccomp::default(),
            seccomp_profile: None,
            no_new_privileges: false,
        }
    }
}

/// The network of a process.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Network {
    /// One of its own with a loopback interface only; whoever [creates](crate::NativeExecutor::create) it may add
    /// others before it begins.
    None,
    /// This machine's, its loopback interface and abstract sockets included.
    Host,
    /// The namespace that this descriptor refers to.
    Join(Arc<OwnedFd>),
}

/// The users that a process can be and see.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum UserNamespace {
    /// This process's: it must be root, of the machine or of a user namespace.
    Inherit,
    /// One of its own.
    Map(IdMaps),
    /// The namespace that this descriptor refers to, such as of a file in `/proc/PID/ns`, or of
    /// [`new_user_namespace`](crate::new_user_namespace). Whoever starts the process must be root of it.
    Join(Arc<OwnedFd>),
}

/// Which IDs of a user namespace are which IDs outside of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdMaps {
    /// Users.
    pub uids: Vec<IdRange>,
    /// Groups.
    pub gids: Vec<IdRange>,
}

/// A range of IDs, inside and outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IdRange {
    /// The first ID in the namespace.
    pub inside: u32,
    /// The first ID outside.
    pub outside: u32,
    /// How many.
    pub count: u32,
}
