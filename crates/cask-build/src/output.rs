//! What becomes of images that were built, besides being in the store.

mod files;
mod list;

pub use files::{write_directory, write_tar};
pub use list::add_to_list;
