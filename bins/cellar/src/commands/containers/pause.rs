//! `cellar pause` and `cellar unpause`

use std::process::ExitCode;

use anyhow::Result;
use cask_engine::Status;
use clap::Args;

use super::several::{Filtered, each};
use crate::context::Context;

/// Have all processes of containers stand
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Filtered,
}

/// Let the processes of containers go on
#[derive(Args, Debug)]
pub(crate) struct UnpauseArguments {
    #[command(flatten)]
    which: Filtered,
}

/// Pauses them.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let which = arguments.which.which();
    each(&which, context, |containers, container| {
        if which.all && container.state.status != Status::Running {
            return Ok(false);
        }
        containers.pause(container)?;
        Ok(true)
    })
}

/// Lets them go on.
pub(crate) fn unpause(arguments: &UnpauseArguments, context: &Context) -> Result<ExitCode> {
    let which = arguments.which.which();
    each(&which, context, |containers, container| {
        if which.all && container.state.status != Status::Paused {
            return Ok(false);
        }
        containers.unpause(container)?;
        Ok(true)
    })
}
