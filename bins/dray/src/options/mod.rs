//! Arguments turned into the libraries' options.

pub(crate) mod access;
pub(crate) mod copy;
pub(crate) mod credentials;
pub(crate) mod duration;
pub(crate) mod platform;
pub(crate) mod policy;
pub(crate) mod progress;
pub(crate) mod registries;
pub(crate) mod registry;
pub(crate) mod transports;
