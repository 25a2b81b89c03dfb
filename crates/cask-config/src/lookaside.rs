//! registries.d: where the signatures of images in registries are kept.
//!
//! Registries have no place for simple signatures. They lie aside: in a directory, or on a web
//! server that was filled from one.
//!
//! ```text
//! <lookaside>/
//! └── library/busybox@sha256=1f0…/   the repository's path, and the digest of the manifest
//!     ├── signature-1                from 1, until one is missing
//!     └── signature-2
//! ```
//!
//! [`directory`] says where the configuration is, [`LookasideConf::load`] reads and merges it, and
//! [`LookasideConf::reading`] and [`LookasideConf::writing`] say where the signatures of an image
//! are. None of the latter does any I/O.
//!
//! Source: containers-registries.d(5); containers/image, `docker/registries_d.go`.

mod base;
mod conf;
mod load;
mod parse;

pub use base::Lookaside;
pub use conf::LookasideConf;
pub use load::{default_directory, directory};
