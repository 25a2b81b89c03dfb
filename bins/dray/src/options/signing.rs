//! What asks for signatures.

use std::path::PathBuf;

use anyhow::{Result, bail};
use cask_program::refused::NO_SIGNING;
use clap::Args;

/// How to sign what was copied. Nothing can be signed yet: who asks for it is told so.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Signatures (not yet)")]
pub(crate) struct SigningArguments {
    /// Sign by the GPG key of this fingerprint
    #[arg(long, value_name = "FINGERPRINT")]
    sign_by: Option<String>,
    /// Sign by the Sequoia key of this fingerprint
    #[arg(long, value_name = "FINGERPRINT")]
    sign_by_sq_fingerprint: Option<String>,
    /// Sign as this file of parameters for sigstore says
    #[arg(long, value_name = "FILE")]
    sign_by_sigstore: Option<PathBuf>,
    /// Sign by this private key for sigstore
    #[arg(long, value_name = "FILE")]
    sign_by_sigstore_private_key: Option<PathBuf>,
    /// Take the passphrase of the key from this file
    #[arg(long, value_name = "FILE")]
    sign_passphrase_file: Option<PathBuf>,
}

impl SigningArguments {
    /// Fails if there is anything to sign, or to sign it with.
    pub(crate) fn check(&self) -> Result<()> {
        let given = [
            ("--sign-by", self.sign_by.is_some()),
            ("--sign-by-sq-fingerprint", self.sign_by_sq_fingerprint.is_some()),
            ("--sign-by-sigstore", self.sign_by_sigstore.is_some()),
            ("--sign-by-sigstore-private-key", self.sign_by_sigstore_private_key.is_some()),
            ("--sign-passphrase-file", self.sign_passphrase_file.is_some()),
        ];
        match given.iter().find(|(_, is_given)| *is_given) {
            Some((flag, _)) => bail!("{flag}: {NO_SIGNING}"),
            None => Ok(()),
        }
    }
}
