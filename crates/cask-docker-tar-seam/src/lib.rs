#![doc = include_str!("../README.md")]

mod destination;
mod error;
mod source;

pub use destination::DockerTarTransaction;
pub use error::{of_archive, of_docker_tar, of_io};
pub use source::DockerTarSource;
