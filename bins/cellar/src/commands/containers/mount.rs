//! `cellar mount` and `cellar unmount`

use std::process::ExitCode;

use anyhow::Result;
use cask_program::output;
use clap::Args;

use super::several::{Meant, Which, each, finish};
use crate::context::Context;

/// Mount the root of containers, and print where
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Print IDs in full
    #[arg(long)]
    no_trunc: bool,
}

/// Take back the mounts of containers' roots
#[derive(Args, Debug)]
pub(crate) struct UnmountArguments {
    #[command(flatten)]
    which: Which,
    /// All mounts of them, by whomever
    #[arg(short, long)]
    force: bool,
}

/// Mounts them; without names, lists what is mounted.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let containers = context.containers()?;
    let mut errors = Vec::new();
    let which = &arguments.which;
    if which.containers.is_empty() && !which.all && !which.latest {
        for container in containers.all(|_| ())? {
            if let Some(path) = containers.mounted_at(&container)? {
                let id = if arguments.no_trunc { container.id() } else { &container.id()[..12] };
                output::line(&format!("{id}  {}", path.display()))?;
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let meant = which.find(&containers, &mut errors)?;
    let alone = meant.len() == 1;
    for Meant { container, .. } in meant {
        match containers.mount(&container) {
            Ok(path) => {
                containers.note(&container, "mount");
                let path = path.display();
                let line = format!("{}  {path}", container.id());
                output::line(&if alone { path.to_string() } else { line })?;
            }
            Err(error) => errors.push(error.into()),
        }
    }
    Ok(finish(errors))
}

/// Takes them back.
pub(crate) fn unmount(arguments: &UnmountArguments, context: &Context) -> Result<ExitCode> {
    each(&arguments.which, context, |containers, container| {
        if arguments.which.all && containers.mounted_at(container)?.is_none() {
            return Ok(false);
        }
        containers.unmount(container, arguments.force)?;
        containers.note(container, "unmount");
        Ok(true)
    })
}
