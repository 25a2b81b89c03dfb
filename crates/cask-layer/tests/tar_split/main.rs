//! tar-split: what is taken apart is put together again.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

mod applied;
mod damage;
mod field;
mod model;
mod round_trip;
mod support;
