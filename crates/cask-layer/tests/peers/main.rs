//! Stores of podman: their tar-split files are read, and those written here are used by skopeo.
//!
//! Run as root with podman, skopeo and GNU tar installed. Where one is missing, the tests fail if
//! `CI` is set and pass otherwise.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]
#![expect(clippy::print_stderr, reason = "whoever runs the tests is told what they leave out")]

mod store;
mod theirs;

mod ours;
