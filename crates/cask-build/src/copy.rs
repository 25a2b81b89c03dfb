//! COPY and ADD: hash first, copy on a miss.

mod archive;
mod content;
mod destination;
mod glob;
mod missing;
mod mode;
mod plan;
mod prepare;
mod prepared;
mod remote;
mod request;
mod select;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use select::clean;

pub use prepare::prepare;
pub use prepared::Prepared;
pub use request::{AddOptions, Component, CopyItem, CopyRequest, CopyTools, WriteOptions, Written};
