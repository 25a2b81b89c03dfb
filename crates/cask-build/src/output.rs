//! What becomes of images that were built, besides being in the store.

mod files;

pub use files::{write_directory, write_tar};
