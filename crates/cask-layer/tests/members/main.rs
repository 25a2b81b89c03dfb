//! Tar streams, read as podman reads them.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

mod damage;
mod field;
mod support;
