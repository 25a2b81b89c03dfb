//! Cask for embedders: every crate under one name, one feature per transport.
