//! From a tree of files to a tar stream.

mod changes;
mod error;
mod header;
mod member_writer;
mod options;
mod tree;
mod write;

pub use changes::diff_changes;
pub use error::{DiffError, DiffErrorKind};
pub use member_writer::{MemberWriter, NewMember};
pub use options::{DiffOptions, Diffed, FileTimes};
pub use tree::{diff_tree, diff_upper};
