//! Compression and decompression, from outside.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod damage;
mod limits;
mod pipeline;
mod round_trip;
mod same_bytes;
mod support;
mod tools;
