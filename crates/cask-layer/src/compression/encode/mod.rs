//! Plain bytes to compressed bytes.

mod deflate;
mod gzip;
mod last_block;
mod level;
mod pool;
mod writer;
mod zstd;

pub use level::Level;
pub(crate) use pool::{Job, Pool};
pub use writer::{CompressWriter, compress};
