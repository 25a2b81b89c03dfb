//! zstd:chunked: blobs of which single files, and pieces of files, can be read alone.

mod batch;
mod pieces;
mod place;
mod rolling;
mod row;
mod split;
mod table;
mod write;

pub use write::{Chunked, zstd_chunked};
