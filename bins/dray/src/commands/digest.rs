//! `dray digest`

use anyhow::Result;
use clap::Args;

use crate::context::Context;
use crate::options::place::PlaceArguments;

/// Print the digest of an image's manifest, or of its list
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The image, as TRANSPORT:DETAILS
    image: String,
    #[command(flatten)]
    place: PlaceArguments,
}

/// Prints the digest.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<()> {
    let image = context.image(&arguments.image, &context.transports_of(&arguments.place).await?)?;
    cask::copy::check_policy(&*context.policy()?, &*image, context.global.require_signed)?;
    let descriptor = image.source().await?.look_up().await?;
    cask_program::output::line(descriptor.digest.as_str())?;
    Ok(())
}
