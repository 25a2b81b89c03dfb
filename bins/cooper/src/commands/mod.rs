//! The commands, one file each.

pub(crate) mod cache;
pub(crate) mod completion;
pub(crate) mod fmt;
pub(crate) mod graph;
pub(crate) mod lint;
pub(crate) mod man;
pub(crate) mod scripted;
pub(crate) mod unshare;
pub(crate) mod version;
