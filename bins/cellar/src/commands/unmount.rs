//! `cellar image unmount`

use anyhow::{Result, bail};
use cask_program::output;
use cask_storage::Image;
use clap::Args;

use crate::context::Context;

/// Take back one mount of each image
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The images
    images: Vec<String>,
    /// All images that are mounted
    #[arg(short, long)]
    all: bool,
    /// Take back all mounts of an image
    #[arg(short, long)]
    force: bool,
}

/// Unmounts.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    if arguments.images.is_empty() && !arguments.all {
        bail!("image name or ID must be specified");
    }
    if !arguments.images.is_empty() && arguments.all {
        bail!("when using the --all switch, you may not pass any image names or IDs");
    }
    let images = context.images()?;
    let store = images.store();
    let wanted: Vec<Image> = match arguments.all {
        true => store.images()?,
        false => {
            let found = arguments.images.iter().map(|name| images.find_instance(name));
            found.map(|found| found.map(|found| found.image)).collect::<Result<_, _>>()?
        }
    };
    for image in wanted {
        // Images share layers, and so their mounts.
        let mounts = store.mounts()?;
        if !mounts.iter().any(|mount| Some(&mount.layer) == image.top_layer.as_ref()) {
            continue;
        }
        store.unmount_image(&image.id, arguments.force)?;
        images.note("unmount", image.id.as_str(), "");
        output::line(image.id.as_str())?;
    }
    Ok(())
}
