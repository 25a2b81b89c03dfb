//! `cellar stop`

use std::num::ParseIntError;
use std::process::ExitCode;

use anyhow::Result;
use cask_engine::{Container, Containers, Status};
use cask_program::report;
use clap::Args;

use super::several::{Filtered, each};
use crate::context::Context;

/// Ask containers to end, and end those that do not
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Filtered,
    /// Seconds from the request to the end, -1 for as many as it takes [default: the container's, or 10]
    #[arg(short, long, alias = "timeout", value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    time: Option<u32>,
}

/// Stops them.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let which = arguments.which.which();
    let many = which.all || !which.filter.is_empty();
    each(&which, context, |containers, container| {
        let status = container.state.status;
        if many && !matches!(status, Status::Initialized | Status::Running) {
            return Ok(false);
        }
        stop(containers, container, arguments.time)?;
        Ok(true)
    })
}

/// Stops one, and says where it had to be killed.
pub(in crate::commands) fn stop(
    containers: &Containers,
    container: &Container,
    time: Option<u32>,
) -> Result<()> {
    if containers.stop(container, time)? {
        let seconds = time.unwrap_or_else(|| container.stop_timeout());
        report::note(&format!(
            "StopSignal {} failed to stop container {} in {seconds} seconds, resorting to SIGKILL",
            container.stop_signal(),
            container.name()
        ));
    }
    Ok(())
}

/// Reads a number of seconds; -1 is as many as it takes.
pub(super) fn seconds(text: &str) -> Result<u32, ParseIntError> {
    if text == "-1" { Ok(u32::MAX) } else { text.parse() }
}
