//! `cellar wait`

use std::process::ExitCode;

use anyhow::{Result, bail};
use cask_engine::{Container, Containers, Status};
use cask_program::output;
use clap::Args;

use super::several::{Meant, Which, finish};
use crate::context::Context;

/// Wait until containers have ended, and print their exit codes
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Wait until it is in this state instead: created, running, paused, exited, stopped, removing …
    #[arg(long, value_name = "STATE", value_delimiter = ',')]
    condition: Vec<String>,
    /// For the sake of podman's users; nothing: the end is heard at once
    #[arg(long, hide = true, value_name = "DURATION")]
    interval: Option<String>,
}

/// How often a state is looked at.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// Waits until a container is in one of some states: its exit code, or -1 for one that has not ended.
fn until(
    containers: &Containers,
    container: &Container,
    states: &[Status],
) -> cask_engine::Result<i32> {
    loop {
        let state = containers.reload(container)?.state;
        if states.contains(&state.status) {
            return Ok(if state.status == Status::Exited { state.exit_code } else { -1 });
        }
        std::thread::sleep(PAUSE);
    }
}

/// Waits.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let mut conditions = Vec::new();
    for text in &arguments.condition {
        conditions.push(match text.as_str() {
            "configured" | "created" => Status::Created,
            "running" => Status::Running,
            "paused" => Status::Paused,
            "exited" | "stopped" => Status::Exited,
            "removing" => Status::Removing,
            other => bail!("invalid container status {other:?}"),
        });
    }
    let containers = context.containers()?;
    let mut errors = Vec::new();
    for Meant { container, .. } in arguments.which.find(&containers, &mut errors)? {
        let waited = match conditions.as_slice() {
            [] | [Status::Exited] => containers.wait(&container),
            states => until(&containers, &container, states),
        };
        match waited {
            Ok(code) => output::line(&code.to_string())?,
            Err(error) => errors.push(error.into()),
        }
    }
    Ok(finish(errors))
}
