#![doc = include_str!("../README.md")]

mod archive;
mod choose;
mod collection;
mod destination;
mod edit;
mod error;
mod index;
mod location;
mod source;
mod streams;
mod walk;

pub use location::{ExistingArchive, OciArchiveOptions, OciArchiveTransport};
