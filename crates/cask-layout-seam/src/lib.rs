#![doc = include_str!("../README.md")]

mod entry;
mod error;
mod selector;

pub use entry::{describe_referrer, entry};
pub use error::{of_layout, of_name};
pub use selector::with_selector;
