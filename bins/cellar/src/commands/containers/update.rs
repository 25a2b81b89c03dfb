//! `cellar update`

use std::process::ExitCode;

use anyhow::{Result, bail};
use cask_engine::ResourcesConfig;
use cask_program::output;
use clap::Args;

use super::options::{LimitArguments, RateArguments};
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
}

/// Changes what is given, and prints the ID.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let [name] = arguments.container.as_slice() else {
        bail!("accepts 1 arg(s), received {}", arguments.container.len());
    };
    let mut change = ResourcesConfig::default();
    arguments.limits.resolve(&mut change)?;
    arguments.rates.resolve(&mut change)?;
    let containers = context.containers()?;
    let container = several::one(&containers, Some(name), false)?;
    containers.update(&container, &change)?;
    output::line(container.id())?;
    Ok(ExitCode::SUCCESS)
}
