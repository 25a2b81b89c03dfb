#![doc = include_str!("../README.md")]

mod archive;
mod collection;
mod destination;
mod edit;
mod error;
mod location;
mod source;
mod streams;

pub use location::{ExistingArchive, OciArchiveOptions, OciArchiveTransport};
