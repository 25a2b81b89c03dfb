#![doc = include_str!("../README.md")]

mod collection;
mod destination;
mod error;
mod location;
mod name;
mod source;
mod upload;

pub use location::{DockerOptions, DockerTransport, Registries};
