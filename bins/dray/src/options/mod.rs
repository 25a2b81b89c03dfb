//! Arguments turned into the libraries' options.

pub(crate) mod copy;
