#![doc = include_str!("../README.md")]

mod check;
mod error;
mod parse;
mod policy;
mod requirement;

pub use check::{Error, ErrorKind, Failure, UnparsedImage};
pub use error::{PolicyError, PolicyErrorKind};
pub use policy::{Applicable, MAX_POLICY_BYTES, Policy, Scope};
pub use requirement::{
    Fulcio, KeySource, KeyType, Pki, Requirement, SignedBaseLayer, SignedBy, SignedIdentity,
    SigstoreKeys, SigstoreSigned, SigstoreSigner,
};
