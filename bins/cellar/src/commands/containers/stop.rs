//! `cellar stop`

use std::process::ExitCode;

use anyhow::Result;
use cask_engine::Status;
use cask_program::report;
use clap::Args;

use super::several::{Filtered, each};
use crate::context::Context;

/// Ask containers to end, and end those that do not
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Filtered,
    /// Seconds from the request to the end [default: the container's, or 10]
    #[arg(short, long, alias = "timeout", value_name = "SECONDS")]
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
        if containers.stop(container, arguments.time)? {
            let seconds = arguments.time.unwrap_or_else(|| container.stop_timeout());
            report::note(&format!(
                "StopSignal {} failed to stop container {} in {seconds} seconds, resorting to SIGKILL",
                container.stop_signal(),
                container.name()
            ));
        }
        Ok(true)
    })
}
