//! `dray completion`

use anyhow::Result;
use cask_program::command_line::visible;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::Cli;

/// Print a script that completes dray's arguments in a shell
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut script = Vec::new();
    let mut command = visible(Cli::command());
    clap_complete::generate(arguments.shell, &mut command, "dray", &mut script);
    cask_program::output::bytes(&script)?;
    Ok(())
}
