//! The commands, one file each.

pub(crate) mod check;
pub(crate) mod completion;
pub(crate) mod containers;
pub(crate) mod disk_usage;
pub(crate) mod exists;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod info;
pub(crate) mod inspect;
pub(crate) mod inspect_any;
pub(crate) mod list;
pub(crate) mod load;
pub(crate) mod man;
pub(crate) mod mount;
pub(crate) mod prune;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod refused;
pub(crate) mod remove;
pub(crate) mod save;
pub(crate) mod system_prune;
pub(crate) mod tag;
pub(crate) mod tree;
pub(crate) mod unmount;
pub(crate) mod untag;
pub(crate) mod version;
