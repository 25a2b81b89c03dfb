//! What builds, and could be better.

mod rule;

pub use rule::Rule;
