//! storage.conf: where images and containers are kept, and how.
//!
//! [`StoragePaths`] say which files are read; [`StorageConf::load`] reads and merges them, and
//! [`StorageConf::parse`] reads one text. [`StorageConf::resolve`] says which store is meant, with
//! the defaults of the user.
//!
//! Source: containers-storage.conf(5) and containers/storage, `types/options.go`; since 1.63,
//! `configfile`.

mod conf;
mod load;
mod parse;
mod resolve;

pub use conf::{AdditionalLayerStore, DriverOptions, PullOptions, StorageConf};
pub use load::{Scheme, StorageEnvironment, StoragePaths};
pub use resolve::StoreLocation;
