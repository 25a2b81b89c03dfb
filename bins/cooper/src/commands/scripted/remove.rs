//! `cooper rm`

use anyhow::{Context as _, Error, Result, bail};
use cask_program::{output, report};
use clap::Args;

use crate::context::Context;

/// Remove working containers
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The containers
    containers: Vec<String>,
    /// Remove all of them
    #[arg(short, long)]
    all: bool,
}

/// Removes as many as can be; fails for the others.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    match (arguments.containers.is_empty(), arguments.all) {
        (true, false) => bail!("container ID must be specified"),
        (false, true) => {
            bail!("when using the --all switch, you may not pass any containers names or IDs")
        }
        _ => {}
    }
    let containers = context.containers()?;
    let mut failures = Failures::default();
    let mut remove = |name: &str, container: cask_build::Result<cask_build::WorkingContainer>| {
        let removed = container.and_then(|container| {
            containers.remove(&container)?;
            Ok(container.id().to_string())
        });
        match removed.with_context(|| format!("removing container {name:?}")) {
            Ok(id) => output::line(&id),
            Err(error) => {
                failures.add(error);
                Ok(())
            }
        }
    };
    if arguments.all {
        for container in containers.list().context("reading build containers")? {
            let name = container.name().to_owned();
            remove(&name, Ok(container))?;
        }
    }
    for name in &arguments.containers {
        remove(name, containers.find(name))?;
    }
    failures.finish()
}

/// What went wrong with some of several: the last one ends the program.
#[derive(Default)]
pub(super) struct Failures(Option<Error>);

impl Failures {
    pub(super) fn add(&mut self, error: Error) {
        if let Some(before) = self.0.replace(error) {
            report::say(&report::whole(&*before));
        }
    }

    pub(super) fn finish(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}
