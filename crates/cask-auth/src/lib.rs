#![doc = include_str!("../README.md")]

mod credential;
mod document;
mod edit;
mod environment;
mod error;
mod explain;
mod files;
mod helper;
mod key;
mod keychain;
mod options;
mod secret;
mod write;

pub use credential::{Credential, Found, Origin};
pub use environment::{Choice, Environment};
pub use error::{Error, ErrorKind};
pub use explain::{Explanation, LookedAt, Seen, Step};
pub use files::AuthFiles;
pub use key::Key;
pub use keychain::{Anonymous, Fixed, Keychain};
pub use options::{AUTH_FILES_HELPER, AuthFile, AuthFilesOptions, Format};
pub use secret::Secret;
