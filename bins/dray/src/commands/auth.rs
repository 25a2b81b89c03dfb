//! `dray auth`

mod explain;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::context::Context;

/// Look into the credentials for registries
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Explain(explain::Arguments),
}

/// Looks.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    match &arguments.command {
        Command::Explain(arguments) => explain::run(arguments, context),
    }
}
