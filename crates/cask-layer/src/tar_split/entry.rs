//! One line of a tar-split file.

/// What one line of a tar-split file says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TarSplitEntry {
    /// These bytes come next: headers, padding, the trailer, or a payload that no file holds.
    Segment(Vec<u8>),
    /// The contents of this file come next.
    File {
        /// The member's name, exactly as in the tar stream.
        name: Vec<u8>,
        /// The size in bytes; 0 for everything without contents.
        size_bytes: u64,
        /// The checksum of the contents; nothing where there are none.
        crc: Option<u64>,
    },
}
