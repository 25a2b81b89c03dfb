//! `cellar kill`

use std::process::ExitCode;

use anyhow::Result;
use cask_runtime::Signal;
use clap::Args;

use super::several::{Which, each};
use crate::context::Context;

/// Send a signal to containers
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// The signal
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL")]
    signal: String,
}

/// Sends it.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let signal: Signal = arguments.signal.parse()?;
    each(&arguments.which, context, |containers, container| {
        if arguments.which.all && !container.state.status.is_up() {
            return Ok(false);
        }
        containers.kill(container, signal)?;
        Ok(true)
    })
}
