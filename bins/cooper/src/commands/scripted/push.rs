//! `cooper push`

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use cask::copy::{Instances, LayersWanted};
use cask_program::access;
use cask_program::compression::CompressionArguments;
use cask_program::platform;
use cask_program::progress::ProgressChoice;
use clap::Args;

use super::refused::OfPush;
use crate::context::Context;
use cask_program::moving::{self, RegistryArguments};
use cask_program::refused::Refused;

/// Push an image to a registry, or to anywhere else
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The image, and where to: a name, or TRANSPORT:DETAILS [default: as the image is called]
    #[arg(value_names = ["IMAGE", "DESTINATION"])]
    image: Vec<String>,
    #[command(flatten)]
    refused: Refused<OfPush>,
    /// Of a list, push all images in it
    #[arg(long)]
    all: bool,
    /// Write the digest of the pushed image to this file
    #[arg(long, value_name = "FILE")]
    digestfile: Option<PathBuf>,
    /// Write manifests in this format: oci or v2s2
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Do not push signatures
    #[arg(long)]
    remove_signatures: bool,
    #[command(flatten)]
    compression: CompressionArguments,
    /// Do not compress layers
    #[arg(short = 'D', long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_name = "true|false")]
    disable_compression: String,
    /// Remove a list from the store afterwards; an image stays
    #[arg(long)]
    rm: bool,
    /// Say nothing
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    registry: RegistryArguments,
}

/// Pushes.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<()> {
    arguments.refused.check()?;
    let (image, destination) = match arguments.image.as_slice() {
        [] => bail!("at least a source image ID must be specified"),
        [image] => (image, image),
        [image, destination] => (image, destination),
        _ => bail!("Only two arguments are necessary to push: source and destination"),
    };
    let images = context.images()?;
    let transports = arguments.registry.transports(&images, &context.settings).await?;
    let progress = ProgressChoice::Auto.start(arguments.quiet);
    let wanted = platform::wanted(&context.settings);
    let mut options = moving::copy_options(&context.settings, wanted, &progress, arguments.quiet)?;
    options.attached.remove_signatures = arguments.remove_signatures;
    options.format = moving::format(arguments.format.as_deref())?;
    if arguments.all {
        options.instances = Instances::All;
    }
    let is_plain = access::boolean_value("disable-compression", &arguments.disable_compression)?;
    if !arguments.compression.apply(&mut options)? && is_plain {
        options.layers.wanted = LayersWanted::Keep;
    }
    let pushed = images.push(image, destination, &transports, &options).await;
    let report = pushed.with_context(|| {
        let scheme = if destination.contains(':') && transports.parse(destination).is_ok() {
            ""
        } else {
            "docker://"
        };
        format!("pushing image {image:?} to {:?}", format!("{scheme}{destination}"))
    })?;
    progress.finish();
    if let Some(file) = &arguments.digestfile {
        std::fs::write(file, report.manifest.digest().as_str())
            .with_context(|| format!("failed to write digest to file {:?}", file.display()))?;
    }
    // As with buildah, whose images stay.
    if arguments.rm && images.find_list(image).is_ok() {
        images.remove(&images.find(image)?, cask_engine::Removal::default())?;
    }
    Ok(())
}
