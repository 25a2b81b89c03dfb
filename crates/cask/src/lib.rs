#![doc = include_str!("../README.md")]

mod transports;

#[cfg(feature = "build")]
pub use cask_build as build;
#[cfg(feature = "build")]
pub use cask_containerfile as containerfile;
pub use cask_copy as copy;
#[cfg(feature = "engine")]
pub use cask_engine as engine;
pub use cask_image as image;
pub use cask_layer as layer;
pub use cask_reference as reference;
#[cfg(feature = "docker")]
pub use cask_registry as registry;
#[cfg(feature = "registry-server")]
pub use cask_registry_server as registry_server;
#[cfg(feature = "engine")]
pub use cask_runtime as runtime;
#[cfg(feature = "containers-storage")]
pub use cask_storage as storage;
pub use cask_transport as transport;
#[cfg(feature = "containers-storage")]
pub use cask_transport_containers_storage as containers_storage;
#[cfg(feature = "docker")]
pub use cask_transport_docker as docker;
#[cfg(feature = "docker-daemon")]
pub use cask_transport_docker_daemon as docker_daemon;
pub use cask_trust as trust;

pub use transports::{TransportOptions, transports};
