//! The real tools read what `dray` wrote, and it reads what they wrote.

mod daemon;
mod index;
mod loads;
mod names;
mod oci_client;
mod pairs;
mod peers;
mod registry;
mod signatures;
mod storage;
mod streams;
mod sync;

/// The programs that the fixtures need.
const TOOLS: [&str; 4] = ["skopeo", "buildah", "podman", "busybox"];
