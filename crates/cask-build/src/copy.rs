//! COPY and ADD: hash first, copy on a miss.

mod prepared;
mod request;

pub use prepared::{Prepared, prepare};
pub use request::{AddOptions, Component, CopyItem, CopyRequest, CopyTools, WriteOptions, Written};
