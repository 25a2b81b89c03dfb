//! Podman, buildah and skopeo on one store with this crate.
//!
//! Run as root with the peers installed. Where they are missing, or the user is not root, the
//! tests fail if `CI` is set and pass otherwise.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]
#![expect(clippy::print_stderr, reason = "whoever runs the tests is told what they leave out")]

mod checking;
mod reading;
mod support;
mod together;
mod writing;
