#![doc = include_str!("../README.md")]

mod address;
mod client;
mod connection;
mod destination;
mod download;
mod location;
mod message;
mod options;
mod tls;
mod upload;

pub use address::DaemonAddress;
pub use location::DockerDaemonTransport;
pub use options::DockerDaemonOptions;
