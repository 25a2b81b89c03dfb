#![doc = include_str!("../README.md")]

mod api_error;
mod auth;
mod blob;
mod challenge;
mod client;
mod content_range;
mod document;
mod error;
mod hashing_body;
mod host;
mod manifest;
mod options;
mod paging;
mod push;
mod referrers;
mod registry;
mod repository;
mod search;
mod selector;
mod session;
mod token;
mod upload;
mod warning;

#[cfg(feature = "oci-client")]
pub mod oci_client;

pub use cask_http::{BodyStream, BoxError, UploadBody};

pub use blob::{BlobStream, VerifiedBlob};
pub use client::Client;
pub use error::{Error, ErrorKind};
pub use options::{ClientOptions, Event, EventSink, HostLookup, HostSettings};
pub use paging::Names;
pub use push::{Stored, SubjectLink};
pub use registry::Registry;
pub use repository::Repository;
pub use search::FoundRepository;
pub use selector::Selector;
pub use session::UploadSession;
pub use upload::{Mount, SessionSink, UploadOptions, Uploaded};

#[cfg(test)]
mod cases;
