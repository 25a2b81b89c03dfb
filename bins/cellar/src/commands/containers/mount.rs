//! `cellar mount` and `cellar unmount`

use std::process::ExitCode;

use anyhow::{Result, bail};
use cask_engine::Containers;
use cask_program::output;
use cask_terminal::value::JsonStyle;
use clap::Args;
use serde::Serialize;

use super::several::{Meant, Which, each, finish};
use crate::context::Context;
use crate::show;

/// Mount the root of containers, and print where
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Print IDs in full
    #[arg(long)]
    no_trunc: bool,
    /// Print the list as JSON
    #[arg(long, value_name = "json")]
    format: Option<String>,
}

/// Source: podman, `cmd/podman/containers/mount.go`, `jreporter`.
#[derive(Serialize)]
struct Mounted {
    id: String,
    #[serde(rename = "Names")]
    names: Vec<String>,
    mountpoint: String,
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
    let is_json = match arguments.format.as_deref() {
        None | Some("") => false,
        Some("json") => true,
        Some(other) => bail!("unknown --format argument: {other:?}"),
    };
    if which.containers.is_empty() && !which.all && !which.latest {
        if is_json {
            return list(&containers);
        }
        for container in containers.all(|_| ())? {
            if let Some(path) = containers.mounted_at(&container)? {
                let id = if arguments.no_trunc { container.id() } else { &container.id()[..12] };
                output::line(&format!("{id}  {}", path.display()))?;
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    which.check()?;
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

/// Prints what is mounted as JSON.
fn list(containers: &Containers) -> Result<ExitCode> {
    let mut mounted = Vec::new();
    for container in containers.all(|_| ())? {
        if let Some(path) = containers.mounted_at(&container)? {
            mounted.push(Mounted {
                id: container.id().to_owned(),
                names: vec![container.name().to_owned()],
                mountpoint: path.display().to_string(),
            });
        }
    }
    show::json(&mounted, JsonStyle::indented(1))?;
    Ok(ExitCode::SUCCESS)
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
