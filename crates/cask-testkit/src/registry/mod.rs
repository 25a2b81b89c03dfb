//! A registry in this process, on loopback: with users, tokens and TLS; it tells what it was
//! asked, and can fail and lie.
//!
//! It is `cask-registry-server` over a temporary directory, and everything else is middleware in
//! front of it. Another one of it is the stranger that a hostile registry points to: its
//! [`requests`](Registry::requests) show whether a secret came along.

mod access;
mod builder;
mod certificate;
mod failing;
mod fault;
mod running;
mod seen;
mod token;
mod vendor;

pub use builder::{Builder, RegistryAuth};
pub use fault::{Failure, Fault};
pub use running::Registry;
pub use seen::Seen;
pub use vendor::Vendor;
