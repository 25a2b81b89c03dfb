//! `cellar restart`

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::notify;
use super::several::{Filtered, each};
use super::stop;
use crate::context::Context;

/// Stop containers and start them again
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Filtered,
    /// Seconds from the request to end to the end, -1 for as many as it takes [default: the container's, or 10]
    #[arg(short, long, alias = "timeout", value_name = "SECONDS", value_parser = stop::seconds, allow_negative_numbers = true)]
    time: Option<u32>,
    /// Only those that run
    #[arg(long)]
    running: bool,
}

/// Restarts them.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let mut which = arguments.which.which();
    which.all |= arguments.running && which.containers.is_empty();
    each(&which, context, |containers, container| {
        if arguments.running && !container.state.status.is_up() {
            return Ok(false);
        }
        containers.note(container, "restart");
        stop::stop(containers, container, arguments.time)?;
        containers.start_with(&containers.reload(container)?, &notify::options(false, None))?;
        notify::started(containers, container)?;
        Ok(true)
    })
}
