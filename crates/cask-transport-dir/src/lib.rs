#![doc = include_str!("../README.md")]

mod destination;
mod files;
mod location;
mod source;
mod staging;

pub use location::DirTransport;
