//! `cooper umount`

use anyhow::{Context as _, Result, bail};
use cask_build::WorkingContainer;
use cask_program::output;
use clap::Args;

use super::remove::Failures;
use crate::context::Context;

/// Unmount the files of working containers
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The containers
    containers: Vec<String>,
    /// Unmount all that are mounted
    #[arg(short, long)]
    all: bool,
}

/// Unmounts.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    match (arguments.containers.is_empty(), arguments.all) {
        (true, false) => bail!("at least one container ID must be specified"),
        (false, true) => {
            bail!("when using the --all switch, you may not pass any container IDs")
        }
        _ => {}
    }
    let containers = context.containers()?;
    let mut failures = Failures::default();
    let mut unmount = |mut container: WorkingContainer| -> Result<()> {
        if container.mounted_at()?.is_none() {
            return Ok(());
        }
        container.unmount()?;
        output::line(container.id().as_str())
    };
    if arguments.all {
        for container in containers.list().context("reading build containers")? {
            let name = container.name().to_owned();
            let done = unmount(container);
            if let Err(error) = done.with_context(|| format!("error unmounting container {name:?}"))
            {
                failures.add(error);
            }
        }
    }
    for name in &arguments.containers {
        let done = containers.find(name).map_err(Into::into).and_then(&mut unmount);
        if let Err(error) = done.with_context(|| format!("error unmounting container {name}")) {
            failures.add(error);
        }
    }
    failures.finish()
}
