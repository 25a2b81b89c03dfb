//! The commands, one file each.

pub(crate) mod auth;
pub(crate) mod catalog;
pub(crate) mod completion;
pub(crate) mod copy;
pub(crate) mod delete;
pub(crate) mod digest;
pub(crate) mod inspect;
pub(crate) mod list_tags;
pub(crate) mod man;
pub(crate) mod manifest_digest;
pub(crate) mod referrers;
pub(crate) mod refused;
pub(crate) mod serve;
pub(crate) mod sync;
pub(crate) mod tag;
pub(crate) mod untag;
pub(crate) mod validate;
