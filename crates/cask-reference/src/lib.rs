#![doc = include_str!("../README.md")]

mod any;
mod digest;
mod error;
mod grammar;
mod literal;
mod normalize;
mod pattern;
mod reference;
mod repository;
mod tag;

pub use any::{AnyReference, sort_by_information};
pub use digest::{Algorithm, Digest, DigestError, DigestErrorKind};
pub use error::{ReferenceError, ReferenceErrorKind};
pub use literal::LiteralReference;
pub use pattern::{Pattern, PatternError};
pub use reference::Reference;
pub use repository::{PATH_MAX_BYTES, Repository};
pub use tag::{TAG_MAX_BYTES, Tag};
