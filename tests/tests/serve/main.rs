//! `dray serve`, and the real tools that push to it and pull from it.

mod alone;
mod kill;
mod peers;

/// The programs that these tests need.
const TOOLS: [&str; 4] = ["skopeo", "buildah", "podman", "busybox"];
