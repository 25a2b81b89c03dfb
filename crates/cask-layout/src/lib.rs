#![doc = include_str!("../README.md")]

mod blob_writer;
mod cache;
mod content;
mod directory;
mod edit;
mod entry;
mod error;
mod graph;
mod index;
mod layout;
mod lock;
mod name;
mod nameless;
mod options;
mod select;
mod state;
mod store;
mod temp;
#[cfg(test)]
mod tests;
mod transaction;

pub use blob_writer::BlobWriter;
pub use cache::ManifestCache;
pub use content::{Content, Finding};
pub use edit::Removed;
pub use entry::Entry;
pub use error::{Error, ErrorKind, Result};
pub use graph::Reached;
pub use index::IndexDocument;
pub use layout::Layout;
pub use name::{ImageChoice, LayoutReference, NameError, NameErrorKind, ReferenceName};
pub use options::{Durability, LayoutOptions};
pub use select::Selector;
pub use transaction::{LayoutTransaction, NewEntry};
