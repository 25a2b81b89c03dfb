//! Containerfiles built into a store of their own, with real commands as root.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that fails says where, and one that is left out says so"
)]

mod cache;
mod failure;
mod hardening;
mod images;
mod mounts;
mod parallel;
mod run;
mod support;
