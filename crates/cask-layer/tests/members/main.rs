//! Tar streams, read as podman reads them.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]
#![expect(clippy::print_stderr, reason = "whoever runs the tests is told what they leave out")]

mod damage;
mod field;
mod support;
