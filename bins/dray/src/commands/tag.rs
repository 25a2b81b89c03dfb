//! `dray tag`

use anyhow::Result;
use cask::transport::Selector;
use cask_program::access::OneArguments;
use clap::Args;

use crate::context::Context;

/// Give an image more names, in the place where it is
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The image, as TRANSPORT:DETAILS
    image: String,
    /// The names
    #[arg(required = true)]
    new_name: Vec<String>,
    #[command(flatten)]
    access: OneArguments,
}

/// Gives the names.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<()> {
    let image = context.image(&arguments.image, &context.transports(&arguments.access).await?)?;
    let collection = image.collection().await?;
    let descriptor = image.source().await?.resolve(&Selector::Chosen).await?;
    for name in &arguments.new_name {
        collection.tag(&descriptor, name).await?;
    }
    Ok(())
}
