//! `cellar container prune`

use std::process::ExitCode;

use anyhow::{Result, bail};
use cask_engine::{ContainerFilter, Containers, RemoveOptions};
use cask_program::output;
use clap::Args;

use super::several::finish;
use crate::commands::prune::is_meant;
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
    let question = "WARNING! This will remove all non running containers.\n";
    if !arguments.force && !is_meant(question)? {
        return Ok(ExitCode::SUCCESS);
    }
    let mut errors = Vec::new();
    for id in stopped(&arguments.filter, &context.containers()?, &mut errors)? {
        output::line(&id)?;
    }
    Ok(finish(errors))
}

/// Removes those that do not run and fit; says which.
pub(crate) fn stopped(
    filters: &[String],
    containers: &Containers,
    errors: &mut Vec<anyhow::Error>,
) -> Result<Vec<String>> {
    let now = moment::now();
    let filters = filters.iter().map(|text| ContainerFilter::parse(text, now));
    let filters = filters.collect::<Result<Vec<_>, _>>()?;
    let known = ["label", "label!", "until"];
    if let Some(other) = filters.iter().find(|filter| !known.contains(&filter.key())) {
        bail!("{} is an invalid filter", other.key());
    }
    let mut found = containers.list(&filters, |error| errors.push(error.into()))?;
    found.retain(|container| !container.state.status.is_up() && !container.config.pod.infra);
    let mut removed = Vec::new();
    for container in found {
        match containers.remove(&container, &RemoveOptions::default()) {
            Ok(()) => removed.push(container.id().to_owned()),
            Err(error) => errors.push(error.into()),
        }
    }
    Ok(removed)
}
