#![doc = include_str!("../README.md")]

mod collection;
mod destination;
mod location;
mod source;

pub use location::{OciOptions, OciTransport};
