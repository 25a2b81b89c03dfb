//! From the arguments to the exit code.

use std::process::ExitCode;

use anyhow::Result;
use cask_program::{build, command_line, containers_conf, report, rootless};
use cask_terminal::report::Exit;

use crate::cli::{Cli, Command};
use crate::commands;
use crate::context::Context;

/// Parses, runs, reports.
///
/// | code | meaning |
/// |---|---|
/// | 0 | success; a reader that closed the pipe early counts as that |
/// | 1 | `lint` found what fails the check, `fmt` a file that is not formatted or has errors, `graph` errors in the file |
/// | 125 | the command could not be carried out |
/// | any | the status of a command that `build` or `run` ran, where that failed |
pub(crate) fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|first| first == "__run-helper") {
        return cask_runtime::run_helper().into();
    }
    let cli = match command_line::parse::<Cli>() {
        Ok(cli) => cli,
        Err(error) => return command_line::wrong::<Cli>(&error, true).into(),
    };
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            report::engine_failure(&error, hint);
            Exit::EngineFailure.into()
        }
    }
}

/// What the user can do about an error of a library.
pub(crate) fn hint<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e str> {
    let of_engine = error.downcast_ref::<cask_engine::Error>().and_then(|error| error.hint());
    let of_build = || error.downcast_ref::<cask_build::Error>().and_then(|error| error.hint());
    let of_runtime = || error.downcast_ref::<cask_runtime::Error>().and_then(|error| error.hint());
    of_engine.or_else(of_build).or_else(of_runtime)
}

fn run(cli: Cli) -> Result<ExitCode> {
    let done = |()| ExitCode::SUCCESS;
    containers_conf::take_environment()?;
    cli.global.log()?;
    cli.global.check()?;
    match cli.command.0 {
        Command::Build(arguments) => {
            // Before anything has threads.
            rootless::enter()?;
            let named = cli.global.default_mounts_file.clone();
            let arguments = arguments.0.with_default_mounts_in(named);
            build::run(arguments, &Context::new(cli.global).settings)
        }
        Command::Cache(command) => {
            rootless::enter()?;
            commands::cache::run(&command, &Context::new(cli.global)).map(done)
        }
        Command::Lint(arguments) => commands::lint::run(&arguments),
        Command::Fmt(arguments) => commands::fmt::run(&arguments),
        Command::Graph(arguments) => commands::graph::run(&arguments),
        Command::Scripted(command) => commands::scripted::run(*command, cli.global),
        Command::Unshare(arguments) => commands::unshare::run(&arguments, cli.global),
        Command::Version(arguments) => commands::version::run(&arguments).map(done),
        Command::Completion(arguments) => commands::completion::run(&arguments).map(done),
        Command::Man(arguments) => commands::man::run(&arguments).map(done),
    }
}
