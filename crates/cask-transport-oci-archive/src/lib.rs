#![doc = include_str!("../README.md")]

mod archive;
mod collection;
mod destination;
mod edit;
mod error;
mod location;
mod source;

pub use cask_archive::ExistingArchive;
pub use location::{OciArchiveOptions, OciArchiveTransport};
