#![doc = include_str!("../README.md")]

mod collection;
mod location;
mod streams;

pub use cask_docker_tar::Layout;
pub use location::{DockerArchiveOptions, DockerArchiveTransport, ExistingArchive};
