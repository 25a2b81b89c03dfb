//! A document tree to a policy.

mod document;
mod fields;
mod identity;
mod path;
mod requirement;

pub(crate) use document::policy;
pub(crate) use path::Path;
