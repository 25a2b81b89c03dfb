//! `cellar pull`

use std::sync::Arc;

use anyhow::{Result, bail};
use cask_program::progress::ProgressChoice;
use cask_program::refused::{Refused, RefusedFlag, RefusedFlags};
use cask_program::{output, report};
use clap::Args;

use crate::context::Context;
use cask_program::moving::{self, PlatformArguments, RegistryArguments};

/// Pull images from registries, or from anywhere else
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The images: names, or TRANSPORT:DETAILS
    images: Vec<String>,
    /// Pull all images of the repository, each under its tag
    #[arg(short, long)]
    all_tags: bool,
    /// When to pull an image that is in the store: always, missing, newer or never
    #[arg(long, value_name = "POLICY", default_value = "always")]
    policy: String,
    /// Print nothing but the IDs
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    platform: PlatformArguments,
    #[command(flatten)]
    registry: RegistryArguments,
    #[command(flatten)]
    refused: Refused<OfPull>,
}

/// Flags that are not here.
pub(crate) struct OfPull;

impl RefusedFlags for OfPull {
    const FLAGS: &'static [RefusedFlag] =
        &[("decryption-key", &[], "encrypted images cannot be read")];
}

/// Pulls; as many as can be.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<()> {
    arguments.refused.check()?;
    if arguments.images.is_empty() {
        bail!("requires at least 1 arg(s), only received 0");
    }
    let policy = arguments.policy.parse()?;
    let platform = arguments.platform.wanted(&context.settings)?;
    let images = context.images()?;
    let transports = arguments.registry.transports(&images, &context.settings).await?;
    let mut failed = None;
    for name in &arguments.images {
        let progress = Arc::new(ProgressChoice::Auto.start(arguments.quiet));
        let copy =
            moving::copy_options(&context.settings, platform.clone(), &progress, arguments.quiet)?;
        let mut options = moving::pull_options(copy, policy, &progress);
        options.platform_asked = arguments.platform.is_asked();
        options.all_tags = arguments.all_tags;
        let pulled = images.pull(name, &transports, &options).await;
        drop((options, progress));
        match pulled {
            Ok(pulled) => {
                images.note("pull", "", name);
                for one in &pulled {
                    if let Some(image) = images.store().image(&one.id)? {
                        moving::check_platform(&images, &image, &platform)?;
                    }
                }
                let ids: String = pulled.iter().map(|one| format!("{}\n", one.id)).collect();
                output::bytes(ids.as_bytes())?;
            }
            Err(error) => {
                if let Some(before) = failed.replace(anyhow::Error::from(error)) {
                    report::engine_failure(&before, crate::run::hint);
                }
            }
        }
    }
    Context::warn(images.store());
    failed.map_or(Ok(()), Err)
}
