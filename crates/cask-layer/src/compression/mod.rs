//! Compression: what it is called, how it is recognised, and streams in both directions.

mod decode;
mod detect;
mod encode;
mod kind;
mod limits;

pub use decode::{DecompressReader, decompress};
pub use detect::{DetectedReader, detect_reader};
pub use encode::{CompressWriter, Level, compress};
pub(crate) use encode::{Job, Pool};
pub use kind::Compression;
pub use limits::DecompressLimits;
