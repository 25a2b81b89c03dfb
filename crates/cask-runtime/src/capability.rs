//! Linux capabilities by name.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind};

macro_rules! capabilities {
    ($($variant:ident = $number:literal $name:literal,)*) => {
        /// One capability of the kernel; the number is the kernel's.
        ///
        /// Source: `include/uapi/linux/capability.h`, capabilities(7).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum Capability {
            $(#[doc = concat!("`CAP_", $name, "`")] $variant = $number,)*
        }

        impl Capability {
            /// Every capability, in the kernel's order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name with its prefix: `CAP_CHOWN`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => concat!("CAP_", $name)),* }
            }
        }
    };
}

capabilities! {
    Chown = 0 "CHOWN",
    DacOverride = 1 "DAC_OVERRIDE",
    DacReadSearch = 2 "DAC_READ_SEARCH",
    FileOwner = 3 "FOWNER",
    FileSetId = 4 "FSETID",
    Kill = 5 "KILL",
    SetGid = 6 "SETGID",
    SetUid = 7 "SETUID",
    SetPermitted = 8 "SETPCAP",
    LinuxImmutable = 9 "LINUX_IMMUTABLE",
    NetBindService = 10 "NET_BIND_SERVICE",
    NetBroadcast = 11 "NET_BROADCAST",
    NetAdmin = 12 "NET_ADMIN",
    NetRaw = 13 "NET_RAW",
    IpcLock = 14 "IPC_LOCK",
    IpcOwner = 15 "IPC_OWNER",
    SysModule = 16 "SYS_MODULE",
    SysRawIo = 17 "SYS_RAWIO",
    SysChroot = 18 "SYS_CHROOT",
    SysPtrace = 19 "SYS_PTRACE",
    SysPacct = 20 "SYS_PACCT",
    SysAdmin = 21 "SYS_ADMIN",
    SysBoot = 22 "SYS_BOOT",
    SysNice = 23 "SYS_NICE",
    SysResource = 24 "SYS_RESOURCE",
    SysTime = 25 "SYS_TIME",
    SysTtyConfig = 26 "SYS_TTY_CONFIG",
    MakeNode = 27 "MKNOD",
    Lease = 28 "LEASE",
    AuditWrite = 29 "AUDIT_WRITE",
    AuditControl = 30 "AUDIT_CONTROL",
    SetFileCapabilities = 31 "SETFCAP",
    MacOverride = 32 "MAC_OVERRIDE",
    MacAdmin = 33 "MAC_ADMIN",
    Syslog = 34 "SYSLOG",
    WakeAlarm = 35 "WAKE_ALARM",
    BlockSuspend = 36 "BLOCK_SUSPEND",
    AuditRead = 37 "AUDIT_READ",
    PerfMon = 38 "PERFMON",
    Bpf = 39 "BPF",
    CheckpointRestore = 40 "CHECKPOINT_RESTORE",
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Capability {
    type Err = Error;

    /// Reads a name in any case, with or without `CAP_`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let upper = text.to_ascii_uppercase();
        let short = upper.strip_prefix("CAP_").unwrap_or(&upper);
        let found = Self::ALL.iter().find(|known| &known.name()[4..] == short);
        found.copied().ok_or_else(|| {
            Error::new(ErrorKind::InvalidSpec, "read the capability", format_args!("{text:?}"))
                .with_detail("there is no capability of this name")
                .with_hint("capabilities are named as in capabilities(7), such as CAP_NET_RAW")
        })
    }
}

/// A set of capabilities.
///
/// [`Default`] is the set that buildah and podman give: enough to install packages, not enough to
/// touch the machine.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CapabilitySet(u64);

impl CapabilitySet {
    /// No capability.
    pub const NONE: Self = Self(0);

    /// Every capability that this crate knows.
    pub fn all() -> Self {
        Capability::ALL.iter().copied().collect()
    }

    /// This set and `capability`.
    #[must_use]
    pub fn with(self, capability: Capability) -> Self {
        Self(self.0 | 1 << capability as u8)
    }

    /// This set without `capability`.
    #[must_use]
    pub fn without(self, capability: Capability) -> Self {
        Self(self.0 & !(1 << capability as u8))
    }

    /// Whether `capability` is in the set.
    pub fn contains(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u8) != 0
    }

    /// The capabilities of the set in the kernel's order.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.iter().copied().filter(move |capability| self.contains(*capability))
    }

    /// The kernel's bits.
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

impl Default for CapabilitySet {
    /// Source: `DefaultCapabilities` of containers-common.
    fn default() -> Self {
        use Capability::{
            Chown, DacOverride, FileOwner, FileSetId, Kill, NetBindService, SetFileCapabilities,
            SetGid, SetPermitted, SetUid, SysChroot,
        };
        let given = [
            Chown,
            DacOverride,
            FileOwner,
            FileSetId,
            Kill,
            NetBindService,
            SetFileCapabilities,
            SetGid,
            SetPermitted,
            SetUid,
            SysChroot,
        ];
        given.into_iter().collect()
    }
}

impl FromIterator<Capability> for CapabilitySet {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        capabilities.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for CapabilitySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Capability::name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_printed() {
        for capability in Capability::ALL {
            assert_eq!(capability.name().parse::<Capability>().unwrap(), *capability);
        }
        assert_eq!("net_raw".parse::<Capability>().unwrap(), Capability::NetRaw);
        for wrong in ["", "CAP_", "CAP_CAP_CHOWN", "NOPE", "CHOWN "] {
            assert_eq!(wrong.parse::<Capability>().unwrap_err().kind(), ErrorKind::InvalidSpec);
        }
    }

    #[test]
    fn the_default_set_has_the_bits_that_peers_give() {
        assert_eq!(CapabilitySet::default().bits(), 0x8004_05fb);
    }

    #[test]
    fn sets_gain_and_lose_members() {
        let set = CapabilitySet::NONE.with(Capability::Bpf).with(Capability::Kill);
        assert!(set.contains(Capability::Bpf));
        assert_eq!(set.without(Capability::Bpf).iter().collect::<Vec<_>>(), [Capability::Kill]);
        assert_eq!(CapabilitySet::all().bits(), (1 << 41) - 1);
    }
}
