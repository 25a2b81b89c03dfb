//! `cooper unshare`

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use cask_build::WorkingContainer;
use cask_program::rootless::{self, UnshareArguments};
use clap::Args;

use crate::context::{Context, GlobalArguments};

/// Run a command as root of a user namespace, as the store sees it; who is root already stays so
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Mount a working container as long as the command runs, and say where in a variable [default: one of its name]
    #[arg(short, long, value_name = "[VARIABLE=]CONTAINER", value_delimiter = ',')]
    mount: Vec<String>,
    #[command(flatten)]
    unshare: UnshareArguments,
}

/// Containers that are mounted as long as this is kept.
#[derive(Default)]
struct Mounted(Vec<WorkingContainer>);

impl Drop for Mounted {
    fn drop(&mut self) {
        for container in &mut self.0 {
            // Who removed it meanwhile unmounted it too.
            let _ = container.unmount();
        }
    }
}

/// Runs it.
///
/// Source: buildah, `cmd/buildah/unshare.go`.
pub(crate) fn run(arguments: &Arguments, global: GlobalArguments) -> Result<ExitCode> {
    // Before anything has threads.
    rootless::enter()?;
    let mut command = arguments.unshare.command();
    if arguments.mount.is_empty() {
        return Ok(rootless::replaced(&mut command));
    }
    let containers = Context::new(global).containers()?;
    let mut mounted = Mounted::default();
    for text in &arguments.mount {
        let (variable, name) = text.split_once('=').unwrap_or((text, text));
        let mut container = containers
            .find(name)
            .with_context(|| format!("loading information about build container {name:?}"))?;
        let path =
            container.mount().with_context(|| format!("mounting build container {name:?}"))?;
        mounted.0.push(container);
        if !variable.is_empty() {
            command.env(variable, path);
        }
    }
    Ok(rootless::finished(&mut command))
}
