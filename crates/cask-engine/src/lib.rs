#![doc = include_str!("../README.md")]

mod error;
mod images;

pub use error::{Error, ErrorKind, Result};
pub use images::{
    Arrived, AskShortName, DiskUsage, Filter, Found, HistoryEntry, ImageDetails, ImageSummary,
    ImageTree, ImageUsage, Images, ImportOptions, LoadInput, LoadOptions, Prune, PullEvent,
    PullOptions, PullPolicy, Registries, Relations, Removal, Removed, SaveFormat, SaveOptions,
    TreeLayer, config_of_changes, no_registries, whole_name,
};
