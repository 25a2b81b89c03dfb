//! Layers applied to trees, and trees written as layers.
#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

mod changes;
mod chunked;
mod export;
mod fixtures;
mod hostile;
mod round_trip;
mod rules;
mod tar;
mod tree;
mod whiteouts;
