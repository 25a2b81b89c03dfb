//! `dray delete`

use anyhow::Result;
use cask::transport::Selector;
use cask_program::access::OneArguments;
use cask_program::refused::Refused;
use clap::Args;

use super::refused::OfDelete;
use crate::context::Context;

/// Delete an image, and everything that only it needed
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The image, as TRANSPORT:DETAILS
    image: String,
    #[command(flatten)]
    access: OneArguments,
    #[command(flatten)]
    refused: Refused<OfDelete>,
}

/// Deletes.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<()> {
    arguments.refused.check()?;
    let image = context.image(&arguments.image, &context.transports(&arguments.access).await?)?;
    if !image.capabilities().collection.delete {
        // The words of skopeo, which scripts search for.
        anyhow::bail!("Deleting images not implemented for {}: images", image.scheme());
    }
    image.collection().await?.delete(&Selector::Chosen).await?;
    Ok(())
}
