#![doc = include_str!("../README.md")]

mod attributes;
mod directory;
mod entries;
mod error;
mod metadata;
mod parents;
mod remove;
mod root;

pub use directory::{Directory, Node};
pub use entries::{DirectoryEntry, Order};
pub use error::{Error, ErrorKind, Operation, Result};
pub use metadata::{Kind, Metadata, Timestamp};
pub use parents::Parents;
pub use root::Root;
