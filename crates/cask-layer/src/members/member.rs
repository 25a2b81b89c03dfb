//! What one member says about itself.

use cask_rootfs::Kind;

/// A member of a tar stream: its metadata, after PAX records and GNU long names.
///
/// Names are bytes, exactly as in the stream: a trailing `/`, a leading `./` or `/` and `..` are
/// all kept. Nothing here is safe to use as a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// Every byte since the end of the previous payload: its padding, the PAX and GNU records
    /// that belong to this member with their padding, the header block, and the sparse map.
    pub raw_header: Vec<u8>,
    /// Where [`raw_header`](Self::raw_header) begins in the stream, in bytes.
    pub offset: u64,
    /// The name.
    pub name: Vec<u8>,
    /// The target of a link; empty for everything else, usually.
    pub link_name: Vec<u8>,
    /// What the member is.
    pub kind: MemberKind,
    /// The type flag byte that [`kind`](Self::kind) was made from. `\0` has become `0` or `5`.
    pub type_flag: u8,
    /// How many bytes of payload the stream holds. Zero for links, directories and devices,
    /// whatever their header says.
    pub stream_size_bytes: u64,
    /// How many bytes the file has once its holes are filled: the same as
    /// [`stream_size_bytes`](Self::stream_size_bytes) for all but sparse files.
    pub real_size_bytes: u64,
    /// The size in bytes that the headers say, also of what has no payload whatever they say.
    pub declared_size_bytes: i64,
    /// For sparse files: where the parts of the payload belong, in ascending order, without
    /// overlap, all within [`real_size_bytes`](Self::real_size_bytes). Their lengths add up to
    /// [`stream_size_bytes`](Self::stream_size_bytes). What lies between is zeros.
    pub sparse: Option<Vec<Fragment>>,
    /// Permissions, set-user-id, set-group-id and sticky bits; some writers add bits of the file
    /// type.
    pub mode: u32,
    /// The owner. May be negative, and larger than any user id.
    pub uid: i64,
    /// The group. May be negative, and larger than any group id.
    pub gid: i64,
    /// The owner's name; may be empty.
    pub user_name: Vec<u8>,
    /// The group's name; may be empty.
    pub group_name: Vec<u8>,
    /// When the contents last changed.
    pub modified: Timestamp,
    /// When the contents were last read, where the headers say so. Nothing here sets it.
    pub accessed: Option<Timestamp>,
    /// When the metadata last changed, where the headers say so.
    pub changed: Option<Timestamp>,
    /// The major number of a device.
    pub device_major: i64,
    /// The minor number of a device.
    pub device_minor: i64,
    /// Extended attributes (`SCHILY.xattr.*`), sorted by name, each name once. Values are bytes
    /// and may hold anything.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What a [`Member`] is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemberKind {
    /// A regular file, sparse ones and the `7` of POSIX (contiguous) included.
    #[default]
    File,
    /// Another name for a member before it.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// PAX records said to hold for all that follows (`g`). Readers of the field ignore them;
    /// git puts a commit there. Nothing to extract.
    GlobalHeader,
    /// Anything else, by its flag.
    Other(u8),
}

/// One stretch of data in a sparse file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Where it begins in the file, in bytes.
    pub offset: u64,
    /// How long it is, in bytes; may be zero.
    pub length: u64,
}

/// A point in time: so many seconds after 1970-01-01T00:00:00Z, and so many nanoseconds more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Seconds; negative before 1970.
    pub seconds: i64,
    /// Nanoseconds, below 1,000,000,000, counted forward also before 1970.
    pub nanoseconds: u32,
}

impl MemberKind {
    /// What a file is as a member; `None` for what no tar holds, such as a socket.
    pub fn of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::File => Some(Self::File),
            Kind::Directory => Some(Self::Directory),
            Kind::Symlink => Some(Self::Symlink),
            Kind::CharDevice => Some(Self::CharacterDevice),
            Kind::BlockDevice => Some(Self::BlockDevice),
            Kind::Fifo => Some(Self::Fifo),
            _ => None,
        }
    }

    pub(crate) fn of_flag(flag: u8) -> Self {
        match flag {
            b'0' | b'7' | 0 | b'S' => Self::File,
            b'1' => Self::HardLink,
            b'2' => Self::Symlink,
            b'3' => Self::CharacterDevice,
            b'4' => Self::BlockDevice,
            b'5' => Self::Directory,
            b'6' => Self::Fifo,
            b'g' => Self::GlobalHeader,
            other => Self::Other(other),
        }
    }
}
