#![doc = include_str!("../README.md")]

mod api_error;
mod auth;
mod blob;
mod challenge;
mod client;
mod content_range;
mod error;
mod host;
mod manifest;
mod options;
mod paging;
mod registry;
mod repository;
mod selector;
mod token;
mod warning;

pub use blob::{BlobStream, VerifiedBlob};
pub use client::Client;
pub use error::{Error, ErrorKind};
pub use options::{ClientOptions, Event, EventSink, HostLookup, HostSettings};
pub use paging::Names;
pub use registry::Registry;
pub use repository::Repository;
pub use selector::Selector;
