//! Configs of images: what the layers are, and how to run them.

mod config;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use config::RULES;
pub use config::{ExecutionConfig, Healthcheck, HistoryEntry, ImageConfig};
pub(crate) use write::{to_oci, write_set};
