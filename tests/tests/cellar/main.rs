//! `alias podman=cellar`: the same commands on the same store, side by side.

mod artifact;
mod change;
mod flight;
mod killed;
mod mapped;
mod moving;
mod power;
mod show;
mod storage;
mod walk;
mod written;

/// What the tests need.
const TOOLS: [&str; 3] = ["podman", "buildah", "busybox"];
