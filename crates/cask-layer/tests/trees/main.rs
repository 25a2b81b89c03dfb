//! Trees that GNU tar, podman and buildah make of layers, and layers that they make of trees.
//!
//! Run as root with those installed. Where one is missing, the tests fail if `CI` is set and pass
//! otherwise.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]
#![expect(clippy::print_stderr, reason = "whoever runs the tests is told what they leave out")]

#[path = "../apply/tree.rs"]
#[expect(dead_code, reason = "the other target uses the rest")]
mod tree;

mod buildah;
mod gnu_tar;
mod podman;
mod support;
