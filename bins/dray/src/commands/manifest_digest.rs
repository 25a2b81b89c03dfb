//! `dray manifest-digest`

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use cask::image::{Algorithm, Hasher, MAX_MANIFEST_BYTES, RawManifest};
use clap::Args;

/// Print the digest of a manifest in a file
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The file that holds the manifest
    manifest_file: PathBuf,
}

/// Prints the digest; of a signed schema 1 manifest that of what was signed.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let path = &arguments.manifest_file;
    let read = || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(MAX_MANIFEST_BYTES + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes =
        read().with_context(|| format!("Error reading manifest from {}", path.display()))?;
    if bytes.len() as u64 > MAX_MANIFEST_BYTES {
        bail!("{} exceeded maximum allowed size of {MAX_MANIFEST_BYTES} bytes", path.display());
    }
    // What is no manifest has a digest too, as in skopeo.
    let digest = match RawManifest::guess(bytes.clone()) {
        Ok(manifest) => manifest.digest().clone(),
        Err(_) => Hasher::digest(Algorithm::Sha256, &bytes),
    };
    cask_program::output::line(digest.as_str())?;
    Ok(())
}
