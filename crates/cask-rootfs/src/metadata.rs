//! What is known about an entry without opening it.

use rustix::fs::{FileType, Stat};

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// Something that this crate does not know.
    Unknown,
}

impl Kind {
    pub(crate) fn of(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Symlink,
            FileType::CharacterDevice => Self::CharDevice,
            FileType::BlockDevice => Self::BlockDevice,
            FileType::Fifo => Self::Fifo,
            FileType::Socket => Self::Socket,
            _ => Self::Unknown,
        }
    }
}

/// A moment: seconds since the beginning of 1970 (before it: negative) and nanoseconds onwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// Nanoseconds after them, below 1,000,000,000.
    pub nanoseconds: u32,
}

/// What is known about an entry without opening it; a symbolic link is described itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// What it is.
    pub kind: Kind,
    /// The permissions with setuid, setgid and sticky: twelve bits.
    pub mode: u32,
    /// The owner's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// The length of a file, or of a symbolic link's target, in bytes.
    pub size_bytes: u64,
    /// How much it occupies on disk, in bytes.
    pub allocated_bytes: u64,
    /// Under how many names it exists.
    pub links: u64,
    /// The device that it lies on, as the kernel numbers it: only good to compare.
    pub device: u64,
    /// Its number on that device.
    pub inode: u64,
    /// The major number of a device file; otherwise 0.
    pub device_major: u32,
    /// The minor number of a device file; otherwise 0.
    pub device_minor: u32,
    /// When the content changed last.
    pub modified: Timestamp,
    /// When it was read last, as far as the mount records it.
    pub accessed: Timestamp,
    /// When anything about it changed last.
    pub changed: Timestamp,
}

impl Metadata {
    #[expect(
        clippy::unnecessary_cast,
        reason = "the fields' types are other ones on other processors"
    )]
    pub(crate) fn of(stat: &Stat) -> Self {
        let kind = Kind::of(FileType::from_raw_mode(stat.st_mode));
        let (device_major, device_minor) = match kind {
            Kind::CharDevice | Kind::BlockDevice => {
                (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev))
            }
            _ => (0, 0),
        };
        let time = |seconds: i64, nanoseconds: u64| Timestamp {
            seconds,
            nanoseconds: u32::try_from(nanoseconds).unwrap_or(0),
        };
        Self {
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size_bytes: u64::try_from(stat.st_size).unwrap_or(0),
            allocated_bytes: u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512),
            links: stat.st_nlink as u64,
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            device_major,
            device_minor,
            modified: time(stat.st_mtime as i64, stat.st_mtime_nsec as u64),
            accessed: time(stat.st_atime as i64, stat.st_atime_nsec as u64),
            changed: time(stat.st_ctime as i64, stat.st_ctime_nsec as u64),
        }
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.kind == Kind::File
    }

    /// Whether two descriptions are of one and the same file, perhaps under two names.
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}
