//! `cellar container prune`

use std::process::ExitCode;

use anyhow::Result;
use cask_engine::{ContainerFilter, RemoveOptions};
use cask_program::output;
use clap::Args;

use super::several::finish;
use crate::context::Context;
use crate::moment;

/// Remove every container that does not run
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Only those that fit, such as until=24h or label=KEY=VALUE
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
}

/// Removes them, and prints their IDs.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let question = "WARNING! This will remove all non running containers.";
    if !arguments.force && !super::volume::agreed(question)? {
        return Ok(ExitCode::SUCCESS);
    }
    let containers = context.containers()?;
    let now = moment::now();
    let filters = arguments.filter.iter().map(|text| ContainerFilter::parse(text, now));
    let filters = filters.collect::<Result<Vec<_>, _>>()?;
    let mut errors = Vec::new();
    let mut found = containers.list(&filters, |error| errors.push(error.into()))?;
    found.retain(|container| !container.state.status.is_up());
    for container in found {
        match containers.remove(&container, &RemoveOptions::default()) {
            Ok(()) => output::line(container.id())?,
            Err(error) => errors.push(error.into()),
        }
    }
    Ok(finish(errors))
}
