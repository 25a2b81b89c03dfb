//! Parses, normalises and prints the names of container images.

mod digest;

pub use digest::{Algorithm, Digest, DigestError, DigestErrorKind};
