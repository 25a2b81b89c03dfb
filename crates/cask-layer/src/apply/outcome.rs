//! What came of applying a layer.

use std::collections::BTreeSet;

/// How many warnings are kept.
const WARNINGS: usize = 100;

/// What came of applying a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// The users that own something, as the stream has them, before maps; whiteouts not counted.
    pub uids: BTreeSet<u32>,
    /// The groups, likewise.
    pub gids: BTreeSet<u32>,
    /// The sizes of all files together, holes included.
    pub size_bytes: u64,
    /// How many members of which kind.
    pub counts: MemberCounts,
    /// What could not be done and did not matter enough to fail: at most 100 of them.
    pub warnings: Vec<ApplyWarning>,
    /// How many more warnings there were.
    pub warnings_omitted: u64,
}

/// How many members of which kind a layer had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberCounts {
    /// Regular files.
    pub files: u64,
    /// Directories, as often as they were given.
    pub directories: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Hard links.
    pub hard_links: u64,
    /// Devices and FIFOs.
    pub nodes: u64,
    /// Whiteouts, opaque ones included.
    pub whiteouts: u64,
    /// Members that were left out: global headers, the root, devices in a user namespace.
    pub skipped: u64,
    /// Members that took the place of something that was there.
    pub replaced: u64,
}

/// Something that could not be done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApplyWarning {
    /// The name of the member, as the stream has it.
    pub member: Vec<u8>,
    /// What could not be done, and why.
    pub message: String,
}

impl Applied {
    pub(super) fn warn(&mut self, member: &[u8], message: String) {
        if self.warnings.len() < WARNINGS {
            self.warnings.push(ApplyWarning { member: member.to_vec(), message });
        } else {
            self.warnings_omitted += 1;
        }
    }
}
