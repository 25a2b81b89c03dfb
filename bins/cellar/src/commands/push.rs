//! `cellar push`

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use cask::copy::{CopyOptions, LayersWanted};
use cask::layer::Compression;
use cask_program::compression::CompressionArguments;
use cask_program::containers_conf;
use cask_program::platform;
use cask_program::progress::ProgressChoice;
use cask_program::refused::NO_SIGNING;
use clap::Args;

use crate::context::Context;
use cask_program::moving::{self, RegistryArguments};

/// Push an image to a registry, or to anywhere else
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The image, and where to: a name, or TRANSPORT:DETAILS [default: as the image is called]
    #[arg(value_names = ["IMAGE", "DESTINATION"])]
    image: Vec<String>,
    /// Write the digest of the pushed image to this file
    #[arg(long, value_name = "FILE")]
    digestfile: Option<PathBuf>,
    /// Write manifests in this format: oci or v2s2
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Do not push signatures
    #[arg(long)]
    remove_signatures: bool,
    /// Compress layers in a directory (dir only)
    #[arg(long)]
    compress: bool,
    #[command(flatten)]
    compression: CompressionArguments,
    #[command(flatten)]
    signing: SigningArguments,
    /// Say nothing
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    registry: RegistryArguments,
}

/// What asks for a signature: known by name, so that who uses one is told.
#[derive(Args, Debug)]
pub(crate) struct SigningArguments {
    #[arg(long, hide = true, value_name = "FINGERPRINT")]
    sign_by: Option<String>,
    #[arg(long, hide = true, value_name = "FILE")]
    sign_by_sigstore: Option<PathBuf>,
    #[arg(long, hide = true, value_name = "FILE")]
    sign_by_sigstore_private_key: Option<PathBuf>,
    #[arg(long, hide = true, value_name = "FINGERPRINT")]
    sign_by_sq_fingerprint: Option<String>,
    #[arg(long, hide = true, value_name = "FILE")]
    sign_passphrase_file: Option<PathBuf>,
    #[arg(long, hide = true, value_name = "KEY")]
    encryption_key: Vec<String>,
    #[arg(long, hide = true, value_name = "LAYER", allow_hyphen_values = true)]
    encrypt_layer: Vec<String>,
}

impl SigningArguments {
    pub(crate) fn check(&self) -> Result<()> {
        let given = [
            ("--sign-by", self.sign_by.is_some()),
            ("--sign-by-sigstore", self.sign_by_sigstore.is_some()),
            ("--sign-by-sigstore-private-key", self.sign_by_sigstore_private_key.is_some()),
            ("--sign-by-sq-fingerprint", self.sign_by_sq_fingerprint.is_some()),
            ("--sign-passphrase-file", self.sign_passphrase_file.is_some()),
        ];
        if let Some((flag, _)) = given.iter().find(|(_, is_given)| *is_given) {
            bail!("{flag}: {NO_SIGNING}");
        }
        if !self.encryption_key.is_empty() || !self.encrypt_layer.is_empty() {
            bail!("--encryption-key: layers cannot be encrypted; push the image with skopeo copy");
        }
        Ok(())
    }
}

/// Pushes.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<()> {
    let (image, destination) = match arguments.image.as_slice() {
        [image] => (image, image),
        [image, destination] => (image, destination),
        other => bail!("accepts between 1 and 2 arg(s), received {}", other.len()),
    };
    arguments.signing.check()?;
    let images = context.images()?;
    let transports = arguments.registry.transports(&images, &context.settings).await?;
    let progress = ProgressChoice::Auto.start(arguments.quiet);
    let wanted = platform::wanted(&context.settings);
    let mut options = moving::copy_options(&context.settings, wanted, &progress, arguments.quiet)?;
    set(&mut options, &arguments, destination)?;
    let report = images.push(image, destination, &transports, &options).await?;
    progress.finish();
    if let Some(file) = &arguments.digestfile {
        std::fs::write(file, report.manifest.digest().as_str())
            .with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
}

/// Sets what was asked for.
fn set(options: &mut CopyOptions, arguments: &Arguments, destination: &str) -> Result<()> {
    options.format = moving::format(arguments.format.as_deref())?;
    options.attached.remove_signatures = arguments.remove_signatures;
    let conf = &containers_conf::load()?.engine.compression;
    if !arguments.compression.apply_or(options, conf)? && arguments.compress {
        if !destination.starts_with("dir:") {
            bail!("--compress is for dir: only");
        }
        options.layers.wanted = LayersWanted::CompressPlain(Compression::Gzip);
    }
    Ok(())
}
