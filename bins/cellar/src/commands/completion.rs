//! `cellar completion`

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use cask_program::command_line::visible;
use cask_program::output;
use clap::builder::Resettable;
use clap::{Args, Command, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::Cli;

/// Print a script that completes cellar's arguments in a shell
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
    /// Write it to this file
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Leave out what commands and flags are for
    #[arg(long)]
    no_desc: bool,
}

/// Prints the script.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let script = match script(arguments.shell) {
        Some(script) => {
            let verb = if arguments.no_desc { "__completeNoDesc" } else { "__complete" };
            script.replace("@VERB@", verb).into_bytes()
        }
        None => generated(arguments),
    };
    match &arguments.file {
        Some(path) => {
            std::fs::write(path, script).with_context(|| format!("open {}", path.display()))
        }
        None => output::bytes(&script),
    }
}

/// The script for a shell that asks the program what may stand where.
fn script(shell: Shell) -> Option<&'static str> {
    match shell {
        Shell::Bash => Some(include_str!("completion/bash.sh")),
        Shell::Zsh => Some(include_str!("completion/zsh.sh")),
        Shell::Fish => Some(include_str!("completion/fish.fish")),
        _ => None,
    }
}

/// A script that knows the commands and flags, and no names.
fn generated(arguments: &Arguments) -> Vec<u8> {
    let mut command = visible(Cli::command());
    if arguments.no_desc {
        command = undescribed(command);
    }
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "cellar", &mut script);
    script
}

fn undescribed(command: Command) -> Command {
    let command = command.about(Resettable::Reset);
    let command = command.mut_args(|argument| argument.help(Resettable::Reset));
    command.mut_subcommands(undescribed)
}
