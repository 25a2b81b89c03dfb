//! `cellar update`

use std::process::ExitCode;

use anyhow::{Result, bail};
use cask_engine::ResourcesConfig;
use cask_program::output;
use cask_program::refused::{Refused, RefusedFlag, RefusedFlags};
use clap::Args;

use super::options::{LimitArguments, RateArguments, WeightArguments};
use super::several;
use crate::context::Context;

/// Change the limits of a container, at once where it runs
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The container
    container: Vec<String>,
    #[command(flatten)]
    limits: LimitArguments,
    #[command(flatten)]
    rates: RateArguments,
    #[command(flatten)]
    weights: WeightArguments,
    /// The container that was made last
    #[arg(short, long)]
    latest: bool,
    #[command(flatten)]
    refused: Refused<OfUpdate>,
}

const REPLACE: &str = "limits alone are changed; make it again, with run --replace";

/// Flags of podman 5's that are not here.
pub(crate) struct OfUpdate;

impl RefusedFlags for OfUpdate {
    const FLAGS: &'static [RefusedFlag] = &[
        ("env", &[], REPLACE),
        ("health-cmd", &[], REPLACE),
        ("health-interval", &[], REPLACE),
        ("health-log-destination", &[], REPLACE),
        ("health-max-log-count", &[], REPLACE),
        ("health-max-log-size", &[], REPLACE),
        ("health-on-failure", &[], REPLACE),
        ("health-retries", &[], REPLACE),
        ("health-start-period", &[], REPLACE),
        ("health-startup-cmd", &[], REPLACE),
        ("health-startup-interval", &[], REPLACE),
        ("health-startup-retries", &[], REPLACE),
        ("health-startup-success", &[], REPLACE),
        ("health-startup-timeout", &[], REPLACE),
        ("health-timeout", &[], REPLACE),
        ("no-healthcheck", &["false"], REPLACE),
        ("restart", &[], REPLACE),
        ("ulimit", &[], REPLACE),
        ("unsetenv", &[], REPLACE),
    ];
}

/// Changes what is given, and prints the ID.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    arguments.refused.check()?;
    let name = match (arguments.container.as_slice(), arguments.latest) {
        ([], true) => None,
        ([name], false) => Some(name.as_str()),
        (names, _) => bail!("accepts 1 arg(s), received {}", names.len()),
    };
    let mut change = ResourcesConfig::default();
    arguments.limits.resolve(&mut change)?;
    arguments.rates.resolve(&mut change)?;
    arguments.weights.resolve(&mut change)?;
    let containers = context.containers()?;
    let container = several::one(&containers, name, arguments.latest)?;
    containers.update(&container, &change)?;
    output::line(container.id())?;
    Ok(ExitCode::SUCCESS)
}
