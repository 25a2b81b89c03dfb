#![doc = include_str!("../README.md")]

mod collection;
mod destination;
mod error;
mod location;
mod source;
mod streams;

pub use cask_docker_tar::Layout;
pub use location::{DockerArchiveOptions, DockerArchiveTransport, ExistingArchive};
