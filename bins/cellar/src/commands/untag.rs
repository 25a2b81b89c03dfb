//! `cellar untag`

use anyhow::Result;
use clap::Args;

use crate::context::Context;

/// Take names away from an image, all of them if none is said
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The image
    image: String,
    /// The names
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// Takes.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let images = context.images()?;
    images.untag(&images.find(&arguments.image)?, &arguments.names)?;
    Ok(())
}
