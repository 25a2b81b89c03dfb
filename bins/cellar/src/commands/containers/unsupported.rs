//! Flags of `podman run` that are not here: known by name, so that who uses one is told what there is instead; those
//! that ask for what is the case anyway are taken.

use cask_program::refused::{RefusedFlag, RefusedFlags};

/// Those of `run` and `create`.
pub(crate) struct OfRun;

impl RefusedFlags for OfRun {
    const FLAGS: &'static [RefusedFlag] = &[
        ("decryption-key", &[], "encrypted images cannot be read"),
        ("rdt-class", &[], "classes of memory bandwidth are not set"),
        ("kernel-memory", &[], "the kernel has no such limit any more; use --memory"),
        (
            "seccomp-policy",
            &["default"],
            "the profile is the usual one, or none with --security-opt",
        ),
        ("link-local-ip", &[], "podman does nothing with it either; use --ip and --ip6"),
        ("volume-driver", &["local", ""], "volumes are local"),
        ("isolation", &["default", ""], "containers have namespaces"),
    ];
}
