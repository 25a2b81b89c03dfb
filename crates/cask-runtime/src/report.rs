//! How a process ended.

use std::fmt;
use std::time::Duration;

use crate::capability::CapabilitySet;
use crate::limit::Resource;

/// How a process ended and what it used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ExitReport {
    /// The exit code or the signal.
    pub status: ExitStatus,
    /// What the process and the children that it waited for used.
    pub usage: Usage,
    /// From just before the process began until all of it had ended.
    pub wall: Duration,
    /// How often the kernel killed one of its processes for lack of memory, where an external runtime has removed
    /// the control group that counted; otherwise 0, and [the group](crate::Cgroup::out_of_memory_kills) says.
    pub out_of_memory_kills: u64,
    /// Where the process got something other than what was asked for.
    pub notes: Vec<Note>,
}

/// The exit code or the signal that ended a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitStatus {
    /// It left with this code.
    Code(u8),
    /// This signal ended it.
    Signal(i32),
}

impl ExitStatus {
    /// Whether the process left with code 0.
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }

    /// The code as shells give it: 128 and the signal for one that a signal ended.
    pub fn shell_status(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128_u8.wrapping_add(u8::try_from(signal).unwrap_or(127)),
        }
    }

    pub(crate) fn from_wait(status: i32) -> Self {
        if libc::WIFSIGNALED(status) {
            Self::Signal(libc::WTERMSIG(status))
        } else {
            let code = libc::WEXITSTATUS(status);
            Self::Code(u8::try_from(code).expect("an exit code has eight bits"))
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// What a process used, as the kernel counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Processor time in the process.
    pub user: Duration,
    /// Processor time in the kernel.
    pub system: Duration,
    /// The most memory that one process held.
    pub max_resident_bytes: u64,
    /// Blocks of 512 bytes read from disks.
    pub blocks_read: u64,
    /// Blocks of 512 bytes written to disks.
    pub blocks_written: u64,
}

/// Something that differs from the specification, and why that was no reason to fail.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// A limit above what this process may give.
    LimitLowered {
        /// The resource.
        resource: Resource,
        /// The hard limit that was asked for.
        asked: u64,
        /// The one that was given.
        given: u64,
    },
    /// Capabilities that this process does not have and cannot give.
    CapabilitiesMissing(CapabilitySet),
    /// The user namespace forbids setting groups: the process has its own group only.
    GroupsNotSet,
    /// The backend isolates nothing: the process sees this machine's processes, network and devices.
    NotIsolated,
    /// An external runtime said something while it succeeded.
    Runtime(String),
    /// A hook failed when everything was over.
    HookFailed(String),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LimitLowered { resource, asked, given } => {
                write!(f, "{resource} {asked} lowered to {given}, the most this process may give")
            }
            Self::CapabilitiesMissing(missing) => {
                f.write_str("not given, because this process does not have them:")?;
                missing.iter().try_for_each(|capability| write!(f, " {capability}"))
            }
            Self::GroupsNotSet => f.write_str(
                "supplementary groups not set: the user namespace has one ID only, and forbids it",
            ),
            Self::NotIsolated => f.write_str(
                "chroot is no isolation: the process shares this machine's processes, network and devices",
            ),
            Self::Runtime(said) | Self::HookFailed(said) => f.write_str(said),
        }
    }
}
