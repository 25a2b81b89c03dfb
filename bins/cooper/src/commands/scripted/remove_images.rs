//! `cooper rmi`

use anyhow::{Context as _, Result, bail};
use cask_engine::{Images, Prune, Removal, Removed};
use cask_program::output;
use clap::Args;

use super::remove::Failures;
use crate::context::Context;

/// Remove images from the store
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The images: a name takes that name away, and with the last one goes the image
    images: Vec<String>,
    /// Remove all images
    #[arg(short, long)]
    all: bool,
    /// Remove images without a name that nothing needs
    #[arg(short, long)]
    prune: bool,
    /// Remove all names of an image whose ID is given, and the containers that use it
    #[arg(short, long)]
    force: bool,
}

/// Removes as many as can be; fails for the others.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let Arguments { images: names, all, prune, .. } = arguments;
    match (names.is_empty(), all, prune) {
        (true, false, false) => bail!("image name or ID must be specified"),
        (false, true, _) => {
            bail!("when using the --all switch, you may not pass any images names or IDs")
        }
        (_, true, true) => bail!("when using the --all switch, you may not use --prune switch"),
        (false, _, true) => {
            bail!("when using the --prune switch, you may not pass any images names or IDs")
        }
        _ => {}
    }
    let images = context.images()?;
    if *prune {
        return print(&images.prune(&Prune::default())?);
    }
    let mut names = names.clone();
    if *all {
        let listed = images.list(&[])?.into_iter().filter(|one| !one.image.is_read_only());
        names = listed.map(|one| one.image.id.to_string()).collect();
    }
    let mut failures = Failures::default();
    for name in &names {
        match remove(&images, name, arguments) {
            Ok(removed) => print(&removed)?,
            Err(error) => failures.add(error),
        }
    }
    failures.finish()
}

fn remove(images: &Images, name: &str, arguments: &Arguments) -> Result<Removed> {
    let mut removal = Removal::default();
    removal.all_names = arguments.force || arguments.all;
    removal.containers = arguments.force;
    let found = match images.find(name) {
        // With --all, an image may have gone with another one.
        Err(error) if arguments.all && error.kind() == cask_engine::ErrorKind::ImageNotKnown => {
            return Ok(Removed::default());
        }
        found => found?,
    };
    images.remove(&found, removal).with_context(|| format!("removing {name}"))
}

fn print(removed: &Removed) -> Result<()> {
    let untagged = removed.untagged.iter().map(|name| format!("untagged: {name}\n"));
    let deleted = removed.deleted.iter().map(|id| format!("{id}\n"));
    output::bytes(untagged.chain(deleted).collect::<String>().as_bytes())
}
