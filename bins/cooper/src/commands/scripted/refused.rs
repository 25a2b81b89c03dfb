//! Flags of buildah's that are not here, and what to do instead: they are refused by name, not taken for a slip.

use cask_program::refused::{NO_SIGNING, RefusedFlag, RefusedFlags};

const DECRYPT: &str = "pull the image with another tool first";
const ENCRYPT: &str = "push the image, and encrypt it with a tool for that";

const BLOBS: &str = "what the store has is not fetched again: leave it out";
const NETAVARK: &str = "networks are made by netavark: leave it out";

/// What `source` is refused with.
pub(super) const NO_SOURCES: &str =
    "cooper has no command \"source\": build an image of the sources, FROM scratch";

/// Those of `from`.
pub(super) struct OfFrom;

impl RefusedFlags for OfFrom {
    const FLAGS: &'static [RefusedFlag] = &[
        ("blob-cache", &[], BLOBS),
        ("cgroupns", &["private", ""], "it is not remembered: give it to run"),
        ("cni-config-dir", &[], NETAVARK),
        ("cni-plugin-path", &[], NETAVARK),
        ("decryption-key", &[], DECRYPT),
    ];
}

/// Those of `pull`.
pub(super) struct OfPull;

impl RefusedFlags for OfPull {
    const FLAGS: &'static [RefusedFlag] =
        &[("blob-cache", &[], BLOBS), ("decryption-key", &[], DECRYPT)];
}

/// Those of `push` and `commit`.
pub(super) struct OfPush;

impl RefusedFlags for OfPush {
    const FLAGS: &'static [RefusedFlag] = &[
        ("blob-cache", &[], BLOBS),
        ("encrypt-layer", &[], ENCRYPT),
        ("encryption-key", &[], ENCRYPT),
        ("sign-by", &[], NO_SIGNING),
    ];
}
