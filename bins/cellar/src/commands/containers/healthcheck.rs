//! `cellar healthcheck`

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use cask_engine::HealthVerdict;
use cask_program::output;
use clap::{Args, Subcommand};

use crate::context::Context;

/// Check whether containers are well
#[derive(Debug, Subcommand)]
pub(crate) enum HealthcheckCommand {
    Run(Arguments),
}

/// Check a container now
///
/// Ends with 0 where it is well; where it is not, says what it is instead and ends with 1: unhealthy, starting, or
/// stopped where it ended meanwhile.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The container
    container: String,
    /// End with 0 where it is not well, too
    #[arg(long)]
    ignore_result: bool,
}

/// Does it.
pub(crate) fn run(command: &HealthcheckCommand, context: &Context) -> Result<ExitCode> {
    let HealthcheckCommand::Run(Arguments { container: name, ignore_result }) = command;
    let containers = context.containers()?;
    let container = containers
        .find(name)
        .with_context(|| format!("unable to look up {name} to perform a health check"))?;
    let verdict = containers.check_health(&container)?;
    if verdict == HealthVerdict::Healthy {
        return Ok(ExitCode::SUCCESS);
    }
    output::line(verdict.as_str())?;
    Ok(if *ignore_result { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
