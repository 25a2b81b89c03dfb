//! What an attacker, or a broken disk, would supply.
//!
//! Each function gives a table of [`Case`]s: something hostile, its name for messages, and the
//! [`Fault`] that whoever reads it has to find. Nothing here is random: the same seed gives the
//! same table.

mod archive;
mod case;
mod content;
mod disk;
mod document;
mod tar;

pub use archive::{docker_archives, oci_archives};
pub use case::{Case, Fault};
pub use content::{bomb, contents, deep_index, doubling_index};
pub use disk::{write_dirs, write_layouts};
pub use document::{DIGESTS, SIZES, ambiguous_manifests, malformed_manifests};
pub use tar::tars;
