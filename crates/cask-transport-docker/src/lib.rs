#![doc = include_str!("../README.md")]

mod collection;
mod destination;
mod error;
mod kept;
mod location;
mod mirrors;
mod name;
mod signatures;
mod source;
mod upload;
mod uploads;

pub use location::{DockerOptions, DockerTransport, Lookasides, Registries};
