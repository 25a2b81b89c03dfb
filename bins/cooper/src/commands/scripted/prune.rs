//! `cooper prune`

use anyhow::Result;
use cask_engine::Prune;
use cask_program::output;
use clap::Args;

use crate::context::Context;

/// Remove images without a name that nothing needs
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Remove images with names too, if no container uses them
    #[arg(short, long)]
    all: bool,
    /// Remove the containers that use them too
    #[arg(short, long)]
    force: bool,
}

/// Removes, and prints what is gone.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let images = context.images()?;
    if arguments.force {
        let containers = context.containers()?;
        for container in containers.list()? {
            containers.remove(&container)?;
        }
    }
    let mut prune = Prune::default();
    prune.all = arguments.all;
    let removed = images.prune(&prune)?;
    let ids: String = removed.deleted.iter().map(|id| format!("{id}\n")).collect();
    output::bytes(ids.as_bytes())
}
