#![doc = include_str!("../README.md")]

mod collection;
mod destination;
mod error;
mod location;
mod source;

pub use location::{ContainersStorageOptions, ContainersStorageTransport, OpenStore, StoreUse};
