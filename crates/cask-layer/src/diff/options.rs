//! How a layer is to be written, and what came of it.

use crate::{IdMaps, Timestamp};

/// How [`diff_tree`](crate::diff_tree), [`diff_upper`](crate::diff_upper) and
/// [`diff_changes`](crate::diff_changes) write a layer.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DiffOptions {
    /// The owners on the host, to be turned back into the container's. Default: as they are.
    pub id_maps: IdMaps,
    /// What times the members get. Default: those of the files.
    pub times: FileTimes,
    /// For [`diff_changes`](crate::diff_changes): whether files of the same size and time are read and
    /// compared. Without, one that was changed and given its old time back is not noticed.
    pub compare_contents: bool,
}

/// What times members get. They are always whole seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileTimes {
    /// Those of the files, rounded down.
    #[default]
    Keep,
    /// Those of the files, but none later than this: what `SOURCE_DATE_EPOCH` asks for.
    Clamp(i64),
    /// This one, for all.
    Set(i64),
}

impl FileTimes {
    /// The seconds that a member gets whose file was last modified then.
    ///
    /// Source: what buildah writes.
    pub fn seconds(self, time: Timestamp) -> i64 {
        match self {
            Self::Keep => time.seconds,
            Self::Clamp(latest) => time.seconds.min(latest),
            Self::Set(seconds) => seconds,
        }
    }
}

/// What came of writing a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diffed {
    /// How many members were written.
    pub members: u64,
    /// The sizes of all files together, in bytes.
    pub size_bytes: u64,
    /// How many sockets were left out: a layer cannot have any.
    pub sockets: u64,
    /// The paths of what could not be written and was left out: names that would be read as
    /// whiteouts, and attributes that tar cannot hold. At most 100 of them.
    pub left_out: Vec<Vec<u8>>,
}

impl Diffed {
    pub(super) fn leave_out(&mut self, path: &[u8]) {
        if self.left_out.len() < 100 {
            self.left_out.push(path.to_vec());
        }
    }
}
