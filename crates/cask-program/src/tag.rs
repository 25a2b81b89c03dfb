//! The command `tag` of cellar and cooper.

use anyhow::Result;
use cask_engine::Images;
use clap::Args;

/// Give an image more names
#[derive(Args, Debug)]
pub struct Arguments {
    /// The image
    image: String,
    /// The names; without a registry, of localhost; without a tag, latest
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

/// Gives.
///
/// # Errors
/// Those of the store; a name that is none.
pub fn run(arguments: &Arguments, images: &Images) -> Result<()> {
    for name in &arguments.names {
        // Each name changes what the next one is added to.
        images.tag(&images.find(&arguments.image)?, name)?;
    }
    Ok(())
}
