//! Registries that fail, lie and attack.

mod auth;
mod pull;
mod push;
mod server;
mod setup;
