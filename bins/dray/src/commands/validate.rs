//! `dray validate`

use anyhow::{Result, bail};
use cask_program::progress::ProgressChoice;
use clap::Args;

use crate::context::Context;
use crate::options::place::PlaceArguments;

/// Recompute every digest and size of an image, and the digests of its plain layers
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The image, as TRANSPORT:DETAILS
    image: String,
    /// Say nothing while reading
    #[arg(short, long)]
    quiet: bool,
    /// How to show progress
    #[arg(long, value_enum, default_value_t = ProgressChoice::Auto, value_name = "HOW")]
    progress: ProgressChoice,
    #[command(flatten)]
    place: PlaceArguments,
}

/// Validates.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<()> {
    let image = context.image(&arguments.image, &context.transports_of(&arguments.place).await?)?;
    let progress = arguments.progress.start(arguments.quiet);
    let found = cask::copy::validate(&*image, progress.sink("Checking")).await?;
    progress.finish();
    for problem in &found.problems {
        cask_program::output::line(&format!("{}: {}", problem.digest, problem.message))?;
    }
    if !found.problems.is_empty() {
        bail!("{image} is not valid: {} problems", found.problems.len());
    }
    cask_program::output::line(&format!(
        "{image} is valid: {} manifests, {} blobs, {} bytes",
        found.manifests, found.blobs, found.bytes
    ))?;
    Ok(())
}
