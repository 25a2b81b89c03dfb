//! `cellar rename`

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::context::Context;

/// Give a container another name
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The container
    container: String,
    /// Its new name
    name: String,
}

/// Renames it.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let containers = context.containers()?;
    let container = containers.find(&arguments.container)?;
    containers.rename(&container, &arguments.name)?;
    Ok(ExitCode::SUCCESS)
}
