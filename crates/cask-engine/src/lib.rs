#![doc = include_str!("../README.md")]

mod error;
mod images;

pub use error::{Error, ErrorKind, Result};
pub use images::{
    DiskUsage, Filter, Found, HistoryEntry, ImageDetails, ImageSummary, ImageTree, ImageUsage,
    Images, Prune, Registries, Relations, Removal, Removed, TreeLayer, no_registries,
};
