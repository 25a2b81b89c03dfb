//! Blobs as streams that check themselves.
//!
//! Local places read synchronously and registries asynchronously. A reader is either, and is
//! turned into the other only when a consumer asks for it: a copy between two files never passes
//! a channel.

mod check;
mod read;
mod reader;
mod stream;
#[cfg(test)]
mod tests;
mod unverified;

pub use read::BlobRead;
pub use reader::BlobReader;
pub use unverified::{CHUNK_BYTES, Measured, UnverifiedBlob, Watch};
