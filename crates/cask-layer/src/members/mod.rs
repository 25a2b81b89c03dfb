//! The members of a tar stream, one after the other, with every byte accounted for.

mod block;
mod error;
mod member;
mod number;
mod observe;
mod pax;
mod payload;
mod reader;
mod sparse;

pub use error::{TarError, TarErrorKind};
pub use member::{Fragment, Member, MemberKind, Timestamp};
pub use observe::Observe;
pub use payload::Payload;
pub use reader::{Entry, MemberLimits, Members};
