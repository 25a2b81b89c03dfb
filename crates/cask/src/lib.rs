#![doc = include_str!("../README.md")]

mod transports;

pub use cask_copy as copy;
pub use cask_image as image;
pub use cask_layer as layer;
pub use cask_reference as reference;
pub use cask_transport as transport;
#[cfg(feature = "containers-storage")]
pub use cask_transport_containers_storage as containers_storage;
#[cfg(feature = "docker")]
pub use cask_transport_docker as docker;
#[cfg(feature = "docker-daemon")]
pub use cask_transport_docker_daemon as docker_daemon;
pub use cask_trust as trust;

pub use transports::{TransportOptions, transports};
