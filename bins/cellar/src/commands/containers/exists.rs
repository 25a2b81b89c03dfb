//! `cellar container exists`

use std::process::ExitCode;

use anyhow::Result;
use cask_engine::ErrorKind;
use clap::Args;

use crate::context::Context;

/// Say by the exit code whether there is such a container
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The container
    container: String,
    /// Of other programs too, such as builds
    #[arg(long)]
    external: bool,
}

/// Ends with 0 or 1.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let containers = context.containers()?;
    match containers.find(&arguments.container) {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(error) if error.kind() == ErrorKind::ContainerNotKnown => {
            let store = containers.images().store();
            let external =
                arguments.external && store.container_named(&arguments.container).is_ok();
            Ok(if external { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Err(error) => Err(error.into()),
    }
}
