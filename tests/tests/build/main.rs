//! `alias buildah=cooper`: the same Containerfiles, built by both, and by what others made of them.

mod bases;
mod case;
mod conformance;
mod dialect;
mod difference;
mod image;
mod own;
mod real;
mod shop;

/// What the tests need.
const TOOLS: [&str; 4] = ["podman", "buildah", "skopeo", "busybox"];
