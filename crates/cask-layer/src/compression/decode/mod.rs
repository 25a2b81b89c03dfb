//! Compressed bytes to plain bytes.

mod bzip2;
mod codec;
mod gzip;
mod reader;
mod xz;
mod zstd;

pub use reader::{DecompressReader, decompress};
