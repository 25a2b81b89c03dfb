//! From the arguments to what is shown.

use anyhow::{Context as _, Result, bail};
use cask::copy::{Description, Inspected};
use cask::transport::{ErrorKind, Location};
use cask_program::{output, platform, report};
use clap::Args;
use futures_util::TryStreamExt as _;

use super::show::show;
use super::{config, indent, index, manifest, summary};
use crate::context::Context;
use crate::options::place::PlaceArguments;

/// Show what an image, an artifact or a list says of itself
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The image, as TRANSPORT:DETAILS
    image_name: String,
    /// Print the exact bytes of the manifest, or with --config of the config
    #[arg(long)]
    raw: bool,
    /// Print the config
    #[arg(long)]
    config: bool,
    /// Print through a Go template, such as '{{.Digest}}'
    #[arg(short, long, value_name = "TEMPLATE")]
    format: Option<String>,
    /// Show a list as it is instead of choosing an image from it
    #[arg(long, conflicts_with_all = ["raw", "config"])]
    list: bool,
    /// Do not list the tags of the image's repository
    #[arg(short, long)]
    no_tags: bool,
    #[command(flatten)]
    place: PlaceArguments,
}

/// Shows.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<()> {
    if arguments.raw && arguments.format.is_some() {
        bail!("raw output does not support format option");
    }
    let transports = context.transports_of(&arguments.place).await?;
    let image = context.image(&arguments.image_name, &transports)?;
    let inspected =
        cask::copy::inspect(&*image, &*context.policy()?, context.global.require_signed).await?;
    if arguments.raw && !arguments.config {
        output::bytes(inspected.top().bytes())?;
        return Ok(());
    }
    let description = describe(&inspected, &arguments, context).await?;
    let template = arguments.format.as_deref();
    match description {
        Description::Index(index) => index::show(&inspected, &index, template),
        Description::Artifact(artifact) if !arguments.config => {
            manifest::show(&inspected, &artifact, template)
        }
        Description::Artifact(artifact) => {
            bail!("an artifact ({}) has no image config", artifact.config.media_type)
        }
        Description::Image { config_bytes, .. } if arguments.config && arguments.raw => {
            output::bytes(&config_bytes)?;
            Ok(())
        }
        Description::Image { config_bytes, config, .. } if arguments.config => match template {
            Some(_) => show(&config::Config::of(&config), template),
            None => {
                output::bytes(&indent::indented(&config_bytes))?;
                output::bytes(b"\n")?;
                Ok(())
            }
        },
        Description::Image { manifest, config, config_bytes } => {
            let layers = &manifest.layers;
            let tags = tags(&*image, &arguments).await?;
            summary::show(&*image, &inspected, tags, layers, &config, &config_bytes, template)
        }
        _ => bail!("{image} is of a kind that cannot be described"),
    }
}

async fn describe(
    inspected: &Inspected,
    arguments: &Arguments,
    context: &Context,
) -> Result<Description> {
    if arguments.list {
        return Ok(inspected.describe().await?);
    }
    Ok(inspected.describe_for(&platform::wanted(&context.settings)).await?)
}

/// The tags of the repository, where there is one. A registry that does not tell them to everybody
/// is no reason to tell nothing.
///
/// Source: skopeo, `inspect.go`.
async fn tags(image: &dyn Location, arguments: &Arguments) -> Result<Vec<String>> {
    if arguments.no_tags || image.scheme() != "docker" {
        return Ok(Vec::new());
    }
    let collection = image.collection().await?;
    let listed: Result<Vec<_>, _> = collection.entries().try_collect().await;
    match listed {
        Ok(entries) => Ok(entries.into_iter().flat_map(|entry| entry.names).collect()),
        Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::NotFound) => {
            report::note(&format!("Registry disallows tag list retrieval; skipping: {error}"));
            Ok(Vec::new())
        }
        Err(error) => Err(error).context("Error determining repository tags"),
    }
}
