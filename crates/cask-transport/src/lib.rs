#![doc = include_str!("../README.md")]

mod blob;
mod blocking;
mod cancellation;
mod capabilities;
mod collection;
mod error;
mod event;
mod location;
mod path_scope;
mod source;
mod transaction;
mod transports;
mod verified;

pub use blob::{BlobRead, BlobReader, CHUNK_BYTES, Measured, UnverifiedBlob, Watch};
pub use blocking::blocking;
pub use cancellation::Cancellation;
pub use capabilities::{Capabilities, CollectionCapabilities, LayerForm};
pub use collection::{Collection, Entry};
pub use error::{Error, ErrorKind, Result};
pub use event::{Event, EventSink, Outcome, TaskId, TaskKind};
pub use location::{Location, PolicyIdentity};
pub use path_scope::{path_policy_identity, validate_path_scope};
pub use source::{Selector, Signature, Source, UnverifiedManifest};
pub use transaction::{
    BlobBody, BlobKind, BlobSpec, Body, Committed, Have, ManifestRole, Transaction, WriteOptions,
};
pub use transports::{Transport, Transports};
pub use verified::VerifiedSource;
