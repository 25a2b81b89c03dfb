//! Registries that fail, lie and attack.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

mod auth;
mod pull;
mod push;
mod search;
mod server;
mod setup;
