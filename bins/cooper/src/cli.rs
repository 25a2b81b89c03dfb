//! The arguments as typed.

use cask_program::command_line::WhenNamed;
use cask_program::version;
use clap::{Parser, Subcommand};

use crate::commands;
use crate::context::GlobalArguments;

/// Builds container images from Containerfiles; lints, formats and draws these.
#[derive(Debug, Parser)]
#[command(name = "cooper", display_name = version::COOPER.name(), version = version::COOPER.version_words(), disable_version_flag = true, args_override_self = true, arg_required_else_help = false)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArguments,
    #[command(subcommand)]
    pub(crate) command: WhenNamed<Command>,
    /// Print the version
    #[arg(short = 'v', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(visible_aliases = ["bud", "build-using-dockerfile"])]
    Build(Box<WhenNamed<cask_program::build::Arguments>>),
    #[command(subcommand)]
    Cache(WhenNamed<commands::cache::Command>),
    #[command(visible_alias = "check")]
    Lint(WhenNamed<commands::lint::Arguments>),
    Fmt(WhenNamed<commands::fmt::Arguments>),
    Graph(WhenNamed<commands::graph::Arguments>),
    #[command(flatten)]
    Scripted(Box<commands::scripted::Command>),
    Unshare(WhenNamed<commands::unshare::Arguments>),
    Version(WhenNamed<commands::version::Arguments>),
    Completion(WhenNamed<commands::completion::Arguments>),
    #[command(hide = true)]
    Man(WhenNamed<commands::man::Arguments>),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn no_command_has_a_flag_twice() {
        super::Cli::command().debug_assert();
    }
}
