#![doc = include_str!("../README.md")]

mod encode;
mod error;
mod file;
mod header;
mod member;
mod name;
mod pax;
mod queue;
mod reader;
mod scan;
mod slot;
mod spool;
mod target;
mod unpacked;
mod writer;

pub use error::{Error, ErrorKind, Result};
pub use member::{Member, MemberKind};
pub use name::MAX_NAME_BYTES;
pub use reader::{ArchiveReader, MemberReader, ReadOptions};
pub use slot::Slot;
pub use target::Existing;
pub use unpacked::UnpackedReader;
pub use writer::{ArchiveWriter, Durability, LockedArchive, WriteOptions};
