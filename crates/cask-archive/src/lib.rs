#![doc = include_str!("../README.md")]

mod encode;
mod error;
mod existing;
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
mod standard;
mod target;
mod unpacked;
mod writer;

pub use error::{Error, ErrorKind, Result};
pub use existing::ExistingArchive;
pub use member::{Member, MemberKind};
pub use name::MAX_NAME_BYTES;
pub use reader::{ArchiveReader, MemberReader, ReadOptions};
pub use slot::Slot;
pub use standard::{STANDARD_STREAM, StandardInput, standard_output};
pub use target::Existing;
pub use unpacked::UnpackedReader;
pub use writer::{ArchiveWriter, Durability, LockedArchive, WriteOptions};
