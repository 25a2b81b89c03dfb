//! Flags of buildah's that are not here, and what to do instead: they are refused by name, not taken for a slip.

use cask_program::refused::{NO_SIGNING, RefusedFlag, RefusedFlags};

const DECRYPT: &str = "pull the image with another tool first";
const ENCRYPT: &str = "push the image, and encrypt it with a tool for that";

const NO_SCANNERS: &str = "scan what `mount` shows with a tool for that";
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

/// Those of `commit`.
pub(super) struct OfCommit;

impl RefusedFlags for OfCommit {
    const FLAGS: &'static [RefusedFlag] = &[
        ("blob-cache", &[], BLOBS),
        ("cw", &[], "make such an image with another tool, of what `mount` shows"),
        ("encrypt-layer", &[], ENCRYPT),
        ("encryption-key", &[], ENCRYPT),
        ("pull", &["false", "never"], NO_SCANNERS),
        ("sbom", &[], NO_SCANNERS),
        ("sbom-image-output", &[], NO_SCANNERS),
        ("sbom-image-purl-output", &[], NO_SCANNERS),
        ("sbom-merge-strategy", &[], NO_SCANNERS),
        ("sbom-output", &[], NO_SCANNERS),
        ("sbom-purl-output", &[], NO_SCANNERS),
        ("sbom-scanner-command", &[], NO_SCANNERS),
        ("sbom-scanner-image", &[], NO_SCANNERS),
        ("sign-by", &[], NO_SIGNING),
    ];
}

/// Those of `push`.
pub(super) struct OfPush;

impl RefusedFlags for OfPush {
    const FLAGS: &'static [RefusedFlag] = &[
        ("blob-cache", &[], BLOBS),
        ("encrypt-layer", &[], ENCRYPT),
        ("encryption-key", &[], ENCRYPT),
        ("sign-by", &[], NO_SIGNING),
    ];
}
