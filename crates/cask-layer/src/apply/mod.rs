//! From a tar stream to a tree of files.

mod attributes;
mod error;
mod extract;
mod id_map;
mod name;
mod options;
mod outcome;
mod payload;
mod whiteout;

pub use error::{ApplyError, ApplyErrorKind};
pub use extract::apply;
pub(crate) use extract::low_bits;
pub use id_map::{IdMaps, IdRange};
pub use options::{ApplyLimits, ApplyOptions, Whiteouts};
pub use outcome::{Applied, ApplyWarning, MemberCounts};
