#![doc = include_str!("../README.md")]

mod collection;
mod location;

pub use cask_archive::ExistingArchive;
pub use cask_docker_tar::Layout;
pub use location::{DockerArchiveOptions, DockerArchiveTransport};
