//! What an archive's index knows of a member.

use std::borrow::Cow;

/// One member of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub(crate) name: Box<[u8]>,
    pub(crate) kind: MemberKind,
    pub(crate) header_offset: u64,
    pub(crate) data_offset: u64,
    pub(crate) size: u64,
}

/// What a [`Member`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemberKind {
    /// A regular file: the only kind with data to read.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, and its target as it is written.
    Symlink(Box<[u8]>),
    /// A hard link, and the name of the member that it stands for.
    Hardlink(Box<[u8]>),
    /// Anything else, such as a device, by tar's type flag.
    Other(u8),
}

impl Member {
    /// The name, relative to the archive's root: without `./`, `..`, doubled or trailing slashes.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The name for people: what is no UTF-8 is replaced.
    pub fn display_name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.name)
    }

    /// What the member is.
    pub fn kind(&self) -> &MemberKind {
        &self.kind
    }

    /// How many bytes of data the member has; 0 unless it is a file.
    pub fn size_bytes(&self) -> u64 {
        self.size
    }

    /// Where the member's first header is in the archive: that of a long name, if it has one.
    pub fn header_offset(&self) -> u64 {
        self.header_offset
    }

    /// Where the member's data is in the archive.
    pub fn data_offset(&self) -> u64 {
        self.data_offset
    }

    /// Where the next member's header is, or the end-of-archive marker.
    pub(crate) fn end_offset(&self) -> u64 {
        self.data_offset + padded(self.size)
    }
}

/// A size, rounded up to whole blocks. Sizes in an archive are at most `i64::MAX`.
pub(crate) fn padded(size: u64) -> u64 {
    size.next_multiple_of(crate::header::BLOCK_BYTES)
}
