//! Resource limits.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind};
use crate::wire::{wire_enum, wire_struct};

macro_rules! resources {
    ($($variant:ident $name:literal $rustix:ident,)*) => {
        /// What a [`Limit`] limits, by the names of setrlimit(2).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Resource {
            $(#[doc = concat!("`RLIMIT_", $name, "`")] $variant,)*
        }

        wire_enum!(Resource { $($variant),* });

        impl Resource {
            /// Every resource.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name as an OCI configuration has it: `RLIMIT_NOFILE`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => concat!("RLIMIT_", $name)),* }
            }

            pub(crate) fn kernel(self) -> rustix::process::Resource {
                match self { $(Self::$variant => rustix::process::Resource::$rustix),* }
            }
        }
    };
}

resources! {
    AddressSpace "AS" As,
    CoreSize "CORE" Core,
    CpuTime "CPU" Cpu,
    DataSize "DATA" Data,
    FileSize "FSIZE" Fsize,
    Locks "LOCKS" Locks,
    LockedMemory "MEMLOCK" Memlock,
    MessageQueue "MSGQUEUE" Msgqueue,
    Nice "NICE" Nice,
    OpenFiles "NOFILE" Nofile,
    Processes "NPROC" Nproc,
    ResidentSet "RSS" Rss,
    RealTimePriority "RTPRIO" Rtprio,
    RealTimeTime "RTTIME" Rttime,
    PendingSignals "SIGPENDING" Sigpending,
    StackSize "STACK" Stack,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Resource {
    type Err = Error;

    /// Reads a name in any case, with or without `RLIMIT_`: `nofile`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let upper = text.to_ascii_uppercase();
        let short = upper.strip_prefix("RLIMIT_").unwrap_or(&upper);
        let found = Self::ALL.iter().find(|known| &known.name()[7..] == short);
        found.copied().ok_or_else(|| {
            Error::new(ErrorKind::InvalidSpec, "read the limit", format_args!("{text:?}"))
                .with_detail("there is no limit of this name")
                .with_hint("limits are named as in setrlimit(2), such as nofile")
        })
    }
}

/// A limit that the process gets. Infinity is [`Limit::INFINITY`].
///
/// A value above what this process may give is lowered to it, and the
/// [report](crate::ExitReport::notes) says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    /// What is limited.
    pub resource: Resource,
    /// What holds, in the resource's own unit.
    pub soft: u64,
    /// How far the process may raise it.
    pub hard: u64,
}

wire_struct!(Limit { resource, soft, hard });

impl Limit {
    /// No limit.
    pub const INFINITY: u64 = u64::MAX;
}

/// One limit for each resource: of several the last holds, and a soft limit is never above its hard one.
///
/// Lowering a limit and raising it again is refused by the kernel, so each is set once.
pub(crate) fn deduplicate(limits: &[Limit]) -> Vec<Limit> {
    let mut kept: Vec<Limit> = Vec::new();
    for limit in limits {
        kept.retain(|known| known.resource != limit.resource);
        kept.push(Limit { soft: limit.soft.min(limit.hard), ..*limit });
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_limits_the_last_holds() {
        let limit = |resource, soft, hard| Limit { resource, soft, hard };
        let given = [
            limit(Resource::Processes, 10, 10),
            limit(Resource::OpenFiles, 9, 4),
            limit(Resource::Processes, 30, 40),
        ];
        let expected = [limit(Resource::OpenFiles, 4, 4), limit(Resource::Processes, 30, 40)];
        assert_eq!(deduplicate(&given), expected);
    }

    #[test]
    fn names_are_read_as_they_are_printed() {
        for resource in Resource::ALL {
            assert_eq!(resource.name().parse::<Resource>().unwrap(), *resource);
        }
        assert_eq!("nofile".parse::<Resource>().unwrap(), Resource::OpenFiles);
        assert!("files".parse::<Resource>().is_err());
    }
}
