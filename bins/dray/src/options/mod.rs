//! Arguments turned into the libraries' options.

pub(crate) mod copy;
pub(crate) mod place;
pub(crate) mod signing;
pub(crate) mod sync;
