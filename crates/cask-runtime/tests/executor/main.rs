//! Real processes in a real root filesystem. Everything here needs root: without it the tests fail where `CI` is
//! set, and say so otherwise.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]
#![expect(clippy::print_stderr, reason = "a test that cannot run says so")]

mod backends;
mod basics;
mod boundary;
mod concurrency;
mod copy_up;
mod endings;
mod groups;
mod lifecycle;
mod mounts;
mod rootless;
mod support;
mod users;
