#![doc = include_str!("../README.md")]

pub mod certs;
pub mod containers;
mod document;
mod drop_in;
mod environment;
mod error;
mod file;
pub mod lookaside;
pub mod registries;
pub mod storage;
mod truth;

pub use environment::Environment;
pub use error::{Error, ErrorKind};
pub use file::MAX_FILE_BYTES;
pub use truth::truth;
