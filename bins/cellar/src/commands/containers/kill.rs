//! `cellar kill`

use std::process::ExitCode;

use anyhow::Result;
use cask_runtime::Signal;
use clap::Args;

use super::several::{Filtered, each};
use crate::context::Context;

/// Send a signal to containers
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Filtered,
    /// The signal
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL")]
    signal: String,
}

/// Sends it.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let signal: Signal = arguments.signal.parse()?;
    let which = arguments.which.which();
    each(&which, context, |containers, container| {
        if which.all && !container.state.status.is_up() {
            return Ok(false);
        }
        containers.kill(container, signal)?;
        Ok(true)
    })
}
