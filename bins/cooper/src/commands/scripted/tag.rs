//! `cooper tag`

use anyhow::Result;
use clap::Args;

use crate::context::Context;

/// Give an image more names
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The image
    image: String,
    /// The names; without a registry, of localhost; without a tag, latest
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

/// Gives.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let images = context.images()?;
    for name in &arguments.names {
        // Each name changes what the next one is added to.
        images.tag(&images.find(&arguments.image)?, name)?;
    }
    Ok(())
}
