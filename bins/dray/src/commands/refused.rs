//! What of skopeo's is not here, and what to do instead: refused by name, not taken for a slip.

use anyhow::{Result, bail};
use cask_program::refused::{NO_SIGNING, RefusedFlag, RefusedFlags, Words};
use clap::Subcommand;

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(hide = true)]
    GenerateSigstoreKey(Words),
    #[command(hide = true)]
    StandaloneSign(Words),
    #[command(hide = true)]
    StandaloneVerify(Words),
}

/// Says that there is none such.
pub(crate) fn run(command: &Command) -> Result<()> {
    let (name, why) = match command {
        Command::GenerateSigstoreKey(_) => ("generate-sigstore-key", NO_SIGNING),
        Command::StandaloneSign(_) => ("standalone-sign", NO_SIGNING),
        Command::StandaloneVerify(_) => {
            ("standalone-verify", "signatures come along, but cannot be verified yet")
        }
    };
    bail!("dray has no command {name:?}: {why}")
}

const ENCRYPTED: &str = "layers are neither encrypted nor decrypted yet";

/// Flags of `copy`.
pub(crate) struct OfCopy;

impl RefusedFlags for OfCopy {
    const FLAGS: &'static [RefusedFlag] = &[
        ("decryption-key", &[], ENCRYPTED),
        ("encrypt-layer", &[], ENCRYPTED),
        ("encryption-key", &[], ENCRYPTED),
        ("sign-identity", &[], NO_SIGNING),
    ];
}

/// Flags of `delete`.
pub(crate) struct OfDelete;

impl RefusedFlags for OfDelete {
    const FLAGS: &'static [RefusedFlag] = &[
        ("daemon-host", &[], "images of a daemon are not deleted: use docker rmi"),
        ("shared-blob-dir", &[], "what is shared may be another layout's: delete without it"),
    ];
}
