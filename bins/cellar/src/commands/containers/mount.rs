//! `cellar mount` and `cellar unmount`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use cask_engine::{ContainerSummary, Containers, ErrorKind};
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
    #[arg(long, alias = "notruncate")]
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

impl Arguments {
    /// Whether nothing is mounted, and what is mounted already is shown.
    pub(super) fn lists(&self) -> bool {
        self.which.containers.is_empty() && !self.which.all && !self.which.latest
    }
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
    if arguments.lists() {
        if is_json {
            return list(&containers);
        }
        for Mounted { id, mountpoint, .. } in mounted(&containers)? {
            let id = if arguments.no_trunc { id.as_str() } else { &id[..12] };
            output::line(&format!("{id}  {mountpoint}"))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    which.check()?;
    let (own, external) = split(&containers, which)?;
    let meant = own.map_or(Ok(Vec::new()), |own| own.find(&containers, &mut errors))?;
    let alone = meant.len() + external.len() == 1;
    for found in external {
        let path = containers.mount_external(&found)?.display().to_string();
        output::line(&if alone { path } else { format!("{}  {path}", found.id) })?;
    }
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

/// Those of other programs among the names, and what else is meant; `None` where that is nothing.
fn split(containers: &Containers, which: &Which) -> Result<(Option<Which>, Vec<ContainerSummary>)> {
    let (mut own, mut external) = (which.clone(), Vec::new());
    own.containers.clear();
    for word in &which.containers {
        let unknown = |kind| kind == ErrorKind::ContainerNotKnown;
        let found = match containers.find(word) {
            Err(error) if unknown(error.kind()) => containers.find_external(word).ok(),
            _ => None,
        };
        match found {
            Some(found) => external.push(found),
            None => own.containers.push(word.clone()),
        }
    }
    let is_left = which.containers.is_empty() || !own.containers.is_empty();
    Ok((is_left.then_some(own), external))
}

/// What is mounted, by whichever program.
fn mounted(containers: &Containers) -> Result<Vec<Mounted>> {
    let shown = |id: &str, name: &str, path: PathBuf| Mounted {
        id: id.to_owned(),
        names: vec![name.to_owned()],
        mountpoint: path.display().to_string(),
    };
    let mut all = Vec::new();
    for container in containers.all(|_| ())? {
        let path = containers.mounted_at(&container)?;
        all.extend(path.map(|path| shown(container.id(), container.name(), path)));
    }
    for found in containers.external()? {
        let path = containers.external_mounted_at(&found)?;
        all.extend(path.map(|path| shown(&found.id, &found.name, path)));
    }
    Ok(all)
}

/// Prints what is mounted as JSON.
fn list(containers: &Containers) -> Result<ExitCode> {
    show::json(&mounted(containers)?, JsonStyle::indented(1))?;
    Ok(ExitCode::SUCCESS)
}

/// Takes them back.
pub(crate) fn unmount(arguments: &UnmountArguments, context: &Context) -> Result<ExitCode> {
    let which = &arguments.which;
    which.check()?;
    let (own, external) = split(&context.containers()?, which)?;
    for found in external {
        let containers = context.containers()?;
        if containers.external_mounted_at(&found)?.is_some() {
            containers.unmount_external(&found, arguments.force)?;
        }
        output::line(&found.id)?;
    }
    let Some(own) = own else { return Ok(ExitCode::SUCCESS) };
    each(&own, context, |containers, container| {
        if own.all && containers.mounted_at(container)?.is_none() {
            return Ok(false);
        }
        containers.unmount(container, arguments.force)?;
        containers.note(container, "unmount");
        Ok(true)
    })
}
