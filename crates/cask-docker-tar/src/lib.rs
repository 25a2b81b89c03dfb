#![doc = include_str!("../README.md")]

mod error;
mod image;
mod json;
mod layer_writer;
mod legacy;
mod old;
mod reader;
mod state;
mod writer;

pub use error::{Error, ErrorKind, Result};
pub use image::{Image, Layer, LayerReader};
pub use json::MAX_MANIFEST_JSON_BYTES;
pub use layer_writer::LayerWriter;
pub use reader::{DockerArchive, Entry, Selector};
pub use writer::{DockerArchiveWriter, Layout, WriteOptions};
