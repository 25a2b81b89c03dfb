//! Arguments turned into the libraries' options.

pub(crate) mod copy;
pub(crate) mod duration;
pub(crate) mod platform;
pub(crate) mod policy;
pub(crate) mod progress;
pub(crate) mod transports;
