//! What the executor tells its helper, and what the helper answers.

use std::fmt;
use std::io;

use rustix::thread::UnshareFlags;

use crate::error::{Error, ErrorKind, kind_of};
use crate::hooks::HookPlan;
use crate::limit::Limit;
use crate::mount::Propagation;
use crate::report::Note;
use crate::spec::TerminalSize;
use crate::wire::{Malformed, Reader, Wire, wire_enum, wire_struct};

/// The kinds of messages. The executor speaks first.
pub(crate) mod message {
    /// Executor: the plan's memory file and the first descriptors; the body is their number.
    pub(crate) const PLAN: u8 = 1;
    /// Executor: more descriptors.
    pub(crate) const MORE: u8 = 2;
    /// Helper: write my ID maps. Executor: they are written.
    pub(crate) const MAPS: u8 = 3;
    /// Helper: the process began.
    pub(crate) const STARTED: u8 = 4;
    /// Helper: a note.
    pub(crate) const NOTE: u8 = 5;
    /// Helper: it failed.
    pub(crate) const FAILURE: u8 = 6;
    /// Helper: the process and all that it began have ended.
    pub(crate) const ENDED: u8 = 7;
    /// Init to helper: a mount point that was made; the descriptor is its parent.
    pub(crate) const STUB: u8 = 8;
    /// Helper: the descriptor refers to the process, the body is its number.
    pub(crate) const PROCESS: u8 = 9;
    /// Process: the descriptor is the other end of its terminal.
    pub(crate) const TERMINAL: u8 = 10;
    /// Process: everything is as it shall be, and it waits. Executor: it shall begin.
    pub(crate) const BEGIN: u8 = 11;
    /// Process: all is made, and its root is not the root yet. Executor: hooks have run.
    pub(crate) const HOOKS: u8 = 12;
}

/// Everything that the helper does, worked out beforehand.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) isolation: Isolation,
    pub(crate) arguments: Vec<Vec<u8>>,
    /// `NAME=value`.
    pub(crate) environment: Vec<Vec<u8>>,
    pub(crate) search: Vec<Vec<u8>>,
    pub(crate) directory: Vec<u8>,
    pub(crate) make_directory: bool,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// `None` where the user namespace forbids setting them.
    pub(crate) groups: Option<Vec<u32>>,
    pub(crate) hostname: Option<Vec<u8>>,
    pub(crate) domainname: Option<Vec<u8>>,
    /// The users; where they are joined, their descriptor comes first of those of namespaces.
    pub(crate) users: Space,
    /// Each of [`SPACES`], in their order. Those that are joined have a descriptor each, after those of mounts.
    pub(crate) spaces: Vec<Space>,
    /// How many files take the numbers of processes of the control group; they come last.
    pub(crate) cgroup_files: u32,
    pub(crate) sysctls: Vec<Setting>,
    /// What is mounted on `/sys/fs/cgroup`: one of no name, or one for each controller.
    pub(crate) group_trees: Vec<GroupTree>,
    pub(crate) group_links: Vec<GroupLink>,
    pub(crate) devices: Vec<DevicePlan>,
    pub(crate) root_devices: bool,
    pub(crate) writable_system: bool,
    /// Rows and columns.
    pub(crate) terminal: Option<TerminalSize>,
    /// The process waits for the word before it begins.
    pub(crate) wait: bool,
    pub(crate) standard_mounts: bool,
    /// `None` is no shared memory.
    pub(crate) shared_memory_bytes: Option<u64>,
    pub(crate) mounts: Vec<MountPlan>,
    pub(crate) masked: Vec<Vec<u8>>,
    pub(crate) read_only: Vec<Vec<u8>>,
    pub(crate) read_only_root: bool,
    pub(crate) capabilities: u64,
    /// What a user who is not root has of them.
    pub(crate) ambient: u64,
    pub(crate) no_new_privileges: bool,
    /// Instructions, packed.
    pub(crate) seccomp: Vec<u64>,
    pub(crate) limits: Vec<Limit>,
    pub(crate) umask: u32,
    pub(crate) init: bool,
    pub(crate) pause: bool,
    pub(crate) out_of_memory_score: Option<i32>,
    /// The argument of personality(2).
    pub(crate) personality: Option<u32>,
    /// The numbers of more descriptors, which come after those of namespaces.
    pub(crate) passed: Vec<u32>,
    /// What an external runtime is called with to end what it started, and the directory that is removed then.
    pub(crate) cleanup: Option<Cleanup>,
    /// What an external runtime is called with to begin what it created.
    pub(crate) start: Vec<Vec<u8>>,
    /// An external runtime's process has to find its bundle as somebody else: everybody can go there, in the mount
    /// namespace of the run.
    pub(crate) clear_way: bool,
    /// Programs that are run before the command.
    pub(crate) hooks: Option<HookPlan>,
}

impl Plan {
    /// Whether what the process started may outlive it: otherwise the kernel ends it with its namespace, or it
    /// belongs to a container that goes on.
    pub(crate) fn leaves_orphans(&self) -> bool {
        match self.isolation {
            Isolation::Namespaces => self.spaces.first() != Some(&Space::New),
            Isolation::Join => false,
            Isolation::Chroot | Isolation::External => true,
        }
    }
}

/// What is done where an external runtime was killed, or when what it created has ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cleanup {
    pub(crate) command: Vec<Vec<u8>>,
    pub(crate) directory: Vec<u8>,
    /// The file of the control group that counts what was killed for lack of memory: the runtime removes it.
    pub(crate) memory_events: Vec<u8>,
}

wire_struct!(Cleanup { command, directory, memory_events });

wire_struct!(Plan {
    isolation,
    arguments,
    environment,
    search,
    directory,
    make_directory,
    uid,
    gid,
    groups,
    hostname,
    domainname,
    users,
    spaces,
    cgroup_files,
    sysctls,
    group_trees,
    group_links,
    devices,
    root_devices,
    writable_system,
    terminal,
    wait,
    standard_mounts,
    shared_memory_bytes,
    mounts,
    masked,
    read_only,
    read_only_root,
    capabilities,
    ambient,
    no_new_privileges,
    seccomp,
    limits,
    umask,
    init,
    pause,
    out_of_memory_score,
    personality,
    passed,
    cleanup,
    start,
    clear_way,
    hooks,
});

/// The namespaces that a process may share, in the order of [`Plan::spaces`].
pub(crate) const SPACES: [UnshareFlags; 5] = [
    UnshareFlags::NEWPID,
    UnshareFlags::NEWIPC,
    UnshareFlags::NEWUTS,
    UnshareFlags::NEWNET,
    UnshareFlags::NEWCGROUP,
];

/// What becomes of one of [`SPACES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    New,
    Keep,
    Join,
}

wire_enum!(Space { New, Keep, Join });

/// A setting of the kernel: a path below `/proc/sys`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Setting {
    pub(crate) path: String,
    pub(crate) value: String,
}

wire_struct!(Setting { path, value });

/// A directory of control groups: a path of this machine, and its name inside.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GroupTree {
    pub(crate) source: Vec<u8>,
    pub(crate) name: String,
    pub(crate) writable: bool,
}

wire_struct!(GroupTree { source, name, writable });

/// Another name of a [`GroupTree`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GroupLink {
    pub(crate) name: String,
    pub(crate) target: String,
}

wire_struct!(GroupLink { name, target });

/// A device to be made: the path is one below `/dev`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DevicePlan {
    pub(crate) path: Vec<u8>,
    pub(crate) source: Vec<u8>,
    pub(crate) block: bool,
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

wire_struct!(DevicePlan { path, source, block, major, minor, mode, uid, gid });

impl Wire for TerminalSize {
    fn put(&self, out: &mut Vec<u8>) {
        (u32::from(self.rows) << 16 | u32::from(self.columns)).put(out);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let [c0, c1, r0, r1] = u32::take(input)?.to_le_bytes();
        Ok(Self { rows: u16::from_le_bytes([r0, r1]), columns: u16::from_le_bytes([c0, c1]) })
    }
}

/// How much the helper sets apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Namespaces.
    Namespaces,
    /// Another root, and nothing else.
    Chroot,
    /// Nothing: the command is an external runtime, which sets the process apart by itself.
    External,
    /// What a process has that runs: the first descriptor is none of a root but of that process.
    Join,
}

wire_enum!(Isolation { Namespaces, Chroot, External, Join });

/// One mount.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MountPlan {
    pub(crate) kind: MountKind,
    pub(crate) target: Vec<u8>,
    /// `MOUNT_ATTR_*`.
    pub(crate) attributes: u32,
    pub(crate) recursive: bool,
    pub(crate) propagation: Propagation,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size_bytes: Option<u64>,
    /// A directory in memory has what the directory has that it covers.
    pub(crate) copies_files: bool,
    /// It has the permissions of that one.
    pub(crate) copies_permissions: bool,
}

wire_struct!(MountPlan {
    kind,
    target,
    attributes,
    recursive,
    propagation,
    mode,
    uid,
    gid,
    size_bytes,
    copies_files,
    copies_permissions,
});

/// What is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MountKind {
    /// The next descriptor of the plan.
    Bind,
    /// The next descriptor of the plan, which is a mount that is attached nowhere: with shifted owners, or an overlay.
    Tree,
    /// A file with the bytes of the next descriptor of the plan.
    Content,
    /// An empty directory in memory.
    Memory,
    /// One that is never written to a disk.
    Ram,
    /// The standard file system of terminals.
    Terminals,
}

impl MountKind {
    /// Whether a descriptor of the plan belongs to it.
    pub(crate) fn has_source(self) -> bool {
        !matches!(self, Self::Memory | Self::Ram | Self::Terminals)
    }

    /// Whether it is a directory in memory, which may have to be filled before it is mounted.
    pub(crate) fn is_memory(self) -> bool {
        matches!(self, Self::Memory | Self::Ram)
    }
}

wire_enum!(MountKind { Bind, Tree, Content, Memory, Ram, Terminals });

/// The file of a bundle that a runtime writes the number of the process to.
pub(crate) const PID_FILE: &str = "pid";

/// The socket of a bundle that a runtime sends the terminal to.
pub(crate) const CONSOLE: &str = "console";

/// Descriptors that come before those of mounts: root, input, output, error.
pub(crate) const FIXED_DESCRIPTORS: usize = 4;

/// Why the helper failed, in a form that travels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) kind: u8,
    pub(crate) operation: String,
    pub(crate) subject: String,
    pub(crate) errno: i32,
    pub(crate) detail: Option<String>,
    pub(crate) hint: Option<String>,
}

wire_struct!(Failure { kind, operation, subject, errno, detail, hint });

/// The kinds that a helper has, by their number in a [`Failure`].
const KINDS: [ErrorKind; 8] = [
    ErrorKind::Io,
    ErrorKind::CommandNotFound,
    ErrorKind::CommandNotExecutable,
    ErrorKind::NotFound,
    ErrorKind::InvalidSpec,
    ErrorKind::Denied,
    ErrorKind::Unsupported,
    ErrorKind::RuntimeFailed,
];

impl Failure {
    pub(crate) fn new(kind: ErrorKind, operation: &str, subject: impl fmt::Display) -> Self {
        let place = KINDS.iter().position(|known| *known == kind).unwrap_or(0);
        Self {
            kind: u8::try_from(place).expect("there are few kinds"),
            operation: operation.to_owned(),
            subject: subject.to_string(),
            errno: 0,
            detail: None,
            hint: None,
        }
    }

    pub(crate) fn io(
        error: impl Into<io::Error>,
        operation: &str,
        subject: impl fmt::Display,
    ) -> Self {
        let error = error.into();
        let errno = error.raw_os_error().unwrap_or(0);
        let mut failure = Self::new(kind_of(&error), operation, subject);
        failure.errno = errno;
        if errno == 0 {
            failure.detail = Some(error.to_string());
        }
        failure
    }

    pub(crate) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn into_error(self) -> Error {
        let kind = KINDS.get(usize::from(self.kind)).copied().unwrap_or(ErrorKind::Io);
        let mut error = Error::new(kind, self.operation, self.subject);
        if self.errno != 0 {
            error = error.with_source(io::Error::from_raw_os_error(self.errno));
        }
        if let Some(detail) = self.detail {
            error = error.with_detail(detail);
        }
        match self.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

/// How the process ended, as the kernel says it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) user_micros: u64,
    pub(crate) system_micros: u64,
    pub(crate) max_resident_kib: u64,
    pub(crate) blocks_read: u64,
    pub(crate) blocks_written: u64,
    pub(crate) wall_nanos: u64,
    pub(crate) out_of_memory_kills: u64,
}

wire_struct!(Ended {
    status,
    user_micros,
    system_micros,
    max_resident_kib,
    blocks_read,
    blocks_written,
    wall_nanos,
    out_of_memory_kills,
});

impl Wire for Note {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::LimitLowered { resource, asked, given } => {
                1_u8.put(out);
                Limit { resource: *resource, soft: *given, hard: *asked }.put(out);
            }
            Self::CapabilitiesMissing(missing) => {
                2_u8.put(out);
                missing.bits().put(out);
            }
            Self::GroupsNotSet => 3_u8.put(out),
            Self::NotIsolated => 4_u8.put(out),
            Self::Runtime(said) => {
                5_u8.put(out);
                said.put(out);
            }
            Self::HookFailed(said) => {
                6_u8.put(out);
                said.put(out);
            }
        }
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match u8::take(input)? {
            1 => {
                let limit = Limit::take(input)?;
                Self::LimitLowered {
                    resource: limit.resource,
                    asked: limit.hard,
                    given: limit.soft,
                }
            }
            2 => Self::CapabilitiesMissing(crate::CapabilitySet::from_bits(u64::take(input)?)),
            3 => Self::GroupsNotSet,
            4 => Self::NotIsolated,
            5 => Self::Runtime(String::take(input)?),
            6 => Self::HookFailed(String::take(input)?),
            _ => return input.malformed(),
        })
    }
}
