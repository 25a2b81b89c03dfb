//! `cooper pull`

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use cask_engine::PullPolicy;
use cask_program::output;
use cask_program::progress::ProgressChoice;
use clap::Args;

use super::refused::OfPull;
use crate::context::Context;
use cask_program::moving::{self, PlatformArguments, RegistryArguments};
use cask_program::refused::Refused;

/// Pull an image from a registry, or from anywhere else
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The image: a name, or TRANSPORT:DETAILS
    image: Vec<String>,
    #[command(flatten)]
    refused: Refused<OfPull>,
    /// Pull all images of the repository, each under its tag
    #[arg(short, long)]
    all_tags: bool,
    /// When to pull an image that is in the store: always, missing, newer or never
    #[arg(long, value_name = "POLICY", default_value = "missing")]
    policy: String,
    /// Do not keep signatures
    #[arg(long)]
    remove_signatures: bool,
    /// Print nothing but the ID
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    platform: PlatformArguments,
    #[command(flatten)]
    registry: RegistryArguments,
}

/// Pulls, and prints the ID.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<()> {
    arguments.refused.check()?;
    let image = match arguments.image.as_slice() {
        [] => bail!("an image name must be specified"),
        [image] => image,
        _ => bail!("too many arguments specified"),
    };
    let policy: PullPolicy = arguments.policy.parse()?;
    let platform = arguments.platform.wanted(&context.settings)?;
    let images = context.images()?;
    let transports = arguments.registry.transports(&images, &context.settings).await?;
    let progress = Arc::new(ProgressChoice::Auto.start(arguments.quiet));
    let copy =
        moving::copy_options(&context.settings, platform.clone(), &progress, arguments.quiet)?;
    let mut options = moving::pull_options(copy, policy, &progress);
    moving::keep_answers(&context.settings, &mut options);
    options.copy.attached.remove_signatures = arguments.remove_signatures;
    options.platform_asked = arguments.platform.is_asked();
    options.all_tags = arguments.all_tags;
    let pulled = images.pull(image, &transports, &options).await;
    drop((options, progress));
    let pulled = pulled?;
    for one in &pulled {
        if let Some(image) = images.store().image(&one.id)? {
            moving::check_platform(&images, &image, &platform)?;
        }
    }
    let last = pulled.into_iter().next_back().context("nothing was pulled")?;
    Context::warn(images.store());
    output::line(last.id.as_str())
}
