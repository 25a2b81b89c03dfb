//! `dray delete`

use anyhow::Result;
use cask::transport::Selector;
use cask_program::access::OneArguments;
use clap::Args;

use crate::context::Context;

/// Delete an image, and everything that only it needed
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The image, as TRANSPORT:DETAILS
    image: String,
    #[command(flatten)]
    access: OneArguments,
}

/// Deletes.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<()> {
    let image = context.image(&arguments.image, &context.transports(&arguments.access).await?)?;
    if !image.capabilities().collection.delete {
        // The words of skopeo, which scripts search for.
        anyhow::bail!("Deleting images not implemented for {}: images", image.scheme());
    }
    image.collection().await?.delete(&Selector::Chosen).await?;
    Ok(())
}
