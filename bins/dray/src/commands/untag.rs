//! `dray untag`

use anyhow::Result;
use cask_program::access::OneArguments;
use clap::Args;

use crate::context::Context;

/// Take a name away; the image stays
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The image with the name to take away, as TRANSPORT:DETAILS
    image: String,
    #[command(flatten)]
    access: OneArguments,
}

/// Takes the name away.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<()> {
    let image = context.image(&arguments.image, &context.transports(&arguments.access).await?)?;
    let Some(name) = image.name() else {
        anyhow::bail!("{image} has no name that could be taken away");
    };
    image.collection().await?.untag(&name).await?;
    Ok(())
}
