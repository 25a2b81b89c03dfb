//! What is mounted into the root filesystem.

use std::fs::DirBuilder;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cask_rootfs::Root;
use rustix::fs::{Gid, Mode, OFlags, Uid};

use crate::error::{Error, Result};
use crate::in_root::open_place;
use crate::wire::wire_enum;

/// One mount: what, where in the root, and how.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Mount {
    /// What is mounted.
    pub source: MountSource,
    /// Where: a path in the root filesystem, absolute. Symbolic links on the way are followed within the
    /// root. What is missing is made, and removed again after the process.
    pub target: PathBuf,
    /// How.
    pub options: MountOptions,
}

/// What a [`Mount`] mounts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MountSource {
    /// A directory or a file of this machine, opened by the caller (`O_PATH` is enough). What the
    /// descriptor refers to is mounted, whatever became of its name.
    Bind(Arc<OwnedFd>),
    /// A directory of this machine with changes that it does not see.
    Overlay(Overlay),
    /// A file with these bytes, in memory only.
    Content {
        /// What the file holds.
        bytes: Arc<[u8]>,
        /// Its permissions.
        mode: u32,
        /// Its owner, in the process's user namespace.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// An empty directory in memory.
    Memory {
        /// The file system that it is.
        kind: Memory,
        /// Permissions of the directory.
        mode: u32,
    },
    /// The terminals that the standard mounts have in `/dev/pts`, once more: where a mount of the caller covers them.
    Terminals,
}

/// A file system in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// One that the kernel may write to swap space.
    Tmpfs {
        /// How much it may hold; `None` is half of the machine's memory.
        size_bytes: Option<u64>,
    },
    /// One that is never written to a disk. Nothing limits what it holds.
    Ramfs,
}

/// A directory that stays as it is, and what a process changes of it. Whoever makes one must be root, of the machine
/// or of a user namespace with mounts of its own; what lies mounted below the directory is not seen.
#[derive(Clone, Debug)]
pub struct Overlay {
    /// The directory, opened by the caller (`O_PATH` is enough).
    pub lower: Arc<OwnedFd>,
    /// Where changes are kept: a directory of the caller's, opened so too. What is there already is seen.
    pub upper: Arc<OwnedFd>,
    /// An empty directory for the kernel, on the same mount as `upper`.
    pub work: Arc<OwnedFd>,
}

impl Overlay {
    /// Keeps changes in new directories `upper` and `work` of a directory of the caller's. At its top, `upper` looks
    /// as the lower one does.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io), also where they are there already.
    pub fn in_directory(directory: &Path, lower: Arc<OwnedFd>) -> Result<Self> {
        let new = |name: &str| {
            let path = directory.join(name);
            let failed = |error: std::io::Error| Error::io(error, "make", path.display());
            DirBuilder::new().mode(0o700).create(&path).map_err(failed)?;
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::open(&path, flags, Mode::empty()).map_err(|error| failed(error.into()))
        };
        let (upper, work) = (new("upper")?, new("work")?);
        let looks = || {
            let seen = rustix::fs::fstat(&lower)?;
            let path = directory.join("upper");
            let (uid, gid) = (Uid::from_raw(seen.st_uid), Gid::from_raw(seen.st_gid));
            rustix::fs::chown(&path, Some(uid), Some(gid))?;
            rustix::fs::chmod(&path, Mode::from_raw_mode(seen.st_mode & 0o7777))
        };
        looks().map_err(|error| Error::io(error, "make", directory.join("upper").display()))?;
        Ok(Self { lower, upper: Arc::new(upper), work: Arc::new(work) })
    }
}

/// Whether this machine labels files, so that a mount may need other labels (`z` and `Z` of volumes).
///
/// Source: selinux(8), selinuxfs.
pub fn has_selinux() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}

/// How a [`Mount`] is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MountOptions {
    /// What may not be done through it.
    pub access: MountAccess,
    /// Whether what is mounted below the source comes along.
    pub recursive: bool,
    /// What later mounts on either side do to the other.
    pub propagation: Propagation,
    /// Whether files belong to whom the process's user namespace maps their owners to: root's to its root. Only
    /// what is bound can be shown so, by root of the machine, and on file systems that can.
    pub shift_owners: bool,
    /// What a directory in memory takes over from the directory that it covers.
    pub copy_up: CopyUp,
}

/// What a [`MountSource::Memory`] takes over from the directory at its place, where there is
/// one. It is what the process would see there without it: of the root, or of a mount that covers a part of the root.
///
/// Source: OCI runtime specification, config.md, the mount option `tmpcopyup`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyUp {
    /// Its owner and all that is in it, with owners, permissions, times, extended attributes that memory can have,
    /// symbolic and hard links. Neither device nodes nor sockets; what is mounted below it is an empty directory, and
    /// of file systems that show the kernel, such as `/sys`, nothing is taken over.
    pub files: bool,
    /// Its owner and permissions, instead of those that the source says.
    pub permissions: bool,
}

/// What a mount forbids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MountAccess {
    /// Nothing can be written.
    pub read_only: bool,
    /// Programs get nothing from set-user-ID bits and file capabilities.
    pub no_setuid: bool,
    /// Device nodes do not work.
    pub no_devices: bool,
    /// Nothing can be executed.
    pub no_execute: bool,
}

impl MountAccess {
    /// Files and programs, and nothing that gives more than whoever uses it has: neither set-user-ID bits nor device
    /// nodes.
    pub const NO_PRIVILEGES: Self =
        Self { read_only: false, no_setuid: true, no_devices: true, no_execute: false };
    /// The same without programs.
    pub const DATA: Self = Self { no_execute: true, ..Self::NO_PRIVILEGES };
}

impl Default for MountOptions {
    /// Writable, with what is mounted below, private.
    fn default() -> Self {
        Self {
            access: MountAccess::default(),
            recursive: true,
            propagation: Propagation::Private,
            shift_owners: false,
            copy_up: CopyUp::default(),
        }
    }
}

/// How mounts made later travel between a mount and its source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Propagation {
    /// They do not.
    #[default]
    Private,
    /// From the source into the mount.
    Slave,
    /// Both ways. As root without a user namespace this lets the process mount on this machine.
    DangerShared,
}

wire_enum!(Propagation { Private, Slave, DangerShared });

impl Mount {
    /// Mounts what `source` refers to.
    pub fn bind(source: impl Into<Arc<OwnedFd>>, target: impl Into<PathBuf>) -> Self {
        Self::new(MountSource::Bind(source.into()), target)
    }

    /// Mounts what `path` names below `root`, such as a path in another stage of a build.
    ///
    /// Symbolic links, absolute ones and `..` included, stay within `root`; the links of `/proc` that lead
    /// elsewhere are refused.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is no such file, `Denied` where it cannot be opened.
    pub fn bind_below(root: &Root, path: &Path, target: impl Into<PathBuf>) -> Result<Self> {
        let source = open_place(root.as_fd(), path.as_os_str(), OFlags::empty())
            .map_err(|error| Error::io(error, "open the source of the mount", path.display()))?;
        Ok(Self::bind(source, target))
    }

    /// Mounts a directory whose changes are kept elsewhere.
    pub fn overlay(overlay: Overlay, target: impl Into<PathBuf>) -> Self {
        Self::new(MountSource::Overlay(overlay), target)
    }

    /// Mounts a read-only file with `bytes` that root owns and everybody may read.
    pub fn content(bytes: impl Into<Arc<[u8]>>, target: impl Into<PathBuf>) -> Self {
        let source = MountSource::Content { bytes: bytes.into(), mode: 0o444, uid: 0, gid: 0 };
        Self::new(source, target).read_only()
    }

    /// Mounts an empty directory in memory, as `/tmp` is: anybody may write.
    pub fn memory(size_bytes: Option<u64>, target: impl Into<PathBuf>) -> Self {
        let mut mount = Self::new(
            MountSource::Memory { kind: Memory::Tmpfs { size_bytes }, mode: 0o1777 },
            target,
        );
        mount.options.access = MountAccess::NO_PRIVILEGES;
        mount
    }

    /// Mounts anything with the default options.
    pub fn new(source: MountSource, target: impl Into<PathBuf>) -> Self {
        Self { source, target: target.into(), options: MountOptions::default() }
    }

    /// The same mount, and nothing can be written through it.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.options.access.read_only = true;
        self
    }
}
