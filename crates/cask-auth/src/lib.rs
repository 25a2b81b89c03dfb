#![doc = include_str!("../README.md")]

mod credential;
mod error;
mod keychain;
mod secret;

pub use credential::{Credential, Found, Origin};
pub use error::{Error, ErrorKind};
pub use keychain::{Anonymous, Fixed, Keychain};
pub use secret::Secret;
