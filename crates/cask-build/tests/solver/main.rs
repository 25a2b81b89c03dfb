//! Containerfiles built into a store of their own, with real commands as root.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

mod cache;
mod failure;
mod images;
mod mounts;
mod parallel;
mod run;
mod support;
