//! What becomes of images that were built, besides being in the store.

mod files;

pub use files::{FileOptions, write_directory, write_tar};
