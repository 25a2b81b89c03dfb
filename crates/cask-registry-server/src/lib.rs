#![doc = include_str!("../README.md")]

mod activity;
mod auth;
mod body;
mod bytes_range;
mod clock;
mod connection;
mod error;
mod event;
mod name;
mod options;
mod refusal;
mod registry;
mod route;
mod server;
mod store;
#[cfg(test)]
mod tests;
mod tls;
mod upload;

pub use auth::Htpasswd;
pub use body::{RequestBody, ResponseBody, empty_body, full_body};
pub use error::{Error, ErrorKind, Result};
pub use event::{AccessEvent, AccessLog};
pub use name::{NameError, RepositoryName};
pub use options::{RegistryOptions, ServerOptions};
pub use refusal::{Refusal, RefusalCode};
pub use registry::Registry;
pub use server::{Disconnect, Middleware, Next, RemoteAddress, Server};
pub use tls::TlsIdentity;
