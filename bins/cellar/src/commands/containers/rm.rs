//! `cellar rm`

use std::process::ExitCode;

use anyhow::Result;
use cask_engine::{ErrorKind, RemoveOptions};
use cask_program::{output, report};
use clap::Args;

use super::several::{Meant, Which};
use crate::context::Context;

/// Remove containers
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// End those that run first; do not fail where there is no such container
    #[arg(short, long)]
    force: bool,
    /// Seconds from the request to end to the end, with --force
    #[arg(short, long, value_name = "SECONDS")]
    time: Option<u32>,
    /// Remove the volumes too that were made for them
    #[arg(short, long)]
    volumes: bool,
}

/// Removes them: 1 where a container is not known, 2 where one is in use, 125 otherwise.
///
/// Source: podman, `cmd/podman/containers/rm.go`, `setExitCode`.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let containers = context.containers()?;
    let mut options = RemoveOptions::default();
    options.force = arguments.force;
    options.volumes = arguments.volumes;
    options.timeout = arguments.time;
    let mut which = arguments.which.clone();
    which.ignore |= arguments.force;
    let mut errors = Vec::new();
    for Meant { word, container } in which.find(&containers, &mut errors)? {
        match containers.remove(&container, &options) {
            Ok(()) => output::line(&word)?,
            Err(error) => errors.push(error.into()),
        }
    }
    let mut kinds = Vec::new();
    for error in errors {
        let engine = error.downcast_ref::<cask_engine::Error>();
        let kind = engine.map(cask_engine::Error::kind);
        let found = match (kind, engine.map(|error| error.subject().to_owned())) {
            // One that cannot be read, or that another program made, can be removed all the same.
            (Some(ErrorKind::Storage), _) if arguments.force => {
                remove_unread(arguments, |name| containers.remove_damaged(name))
            }
            (Some(ErrorKind::ContainerNotKnown), _) => {
                remove_unread(arguments, |name| containers.remove_external(name))
            }
            _ => Vec::new(),
        };
        if found.is_empty() {
            kinds.push(kind);
            report::engine_failure(&error, crate::run::hint);
        }
        for name in found {
            output::line(&name)?;
        }
    }
    let unknown = |kind: &Option<ErrorKind>| *kind == Some(ErrorKind::ContainerNotKnown);
    Ok(ExitCode::from(match kinds.as_slice() {
        [] => 0,
        kinds if kinds.iter().all(unknown) => 1,
        kinds if kinds.contains(&Some(ErrorKind::StateImproper)) => 2,
        _ => 125,
    }))
}

/// Tries every name that was given; gives those that it could remove.
fn remove_unread(
    arguments: &Arguments,
    remove: impl Fn(&str) -> cask_engine::Result<String>,
) -> Vec<String> {
    let names = &arguments.which.containers;
    names.iter().filter(|name| remove(name).is_ok()).cloned().collect()
}
