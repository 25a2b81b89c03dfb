//! From the arguments to the exit code.

use std::process::ExitCode;

use anyhow::Result;
use cask_program::duration::GoDuration;
use cask_program::{command_line, login, logout, report, rootless, stop};
use cask_terminal::logging;
use cask_terminal::progress::{Mode, Progress};
use cask_terminal::report::Exit;

use crate::cli::{Cli, Command};
use crate::commands;
use crate::context::Context;

/// Parses, runs, reports.
pub(crate) fn main() -> ExitCode {
    let exit = match command_line::try_parse::<Cli>() {
        Err(error) => command_line::usage("dray", &error),
        Ok(cli) => match run(cli) {
            Ok(()) => Exit::Success,
            Err(error) => report::failure_with(&error, hint),
        },
    };
    exit.into()
}

/// What the user can do about an error of the server.
fn hint<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e str> {
    error.downcast_ref::<cask_registry_server::Error>().and_then(|error| error.hint())
}

/// Whether layers of a store are touched, which may have files of anybody: then a user has to be root of a user
/// namespace.
///
/// Source: skopeo, `reexecIfNecessaryForImages`.
fn names_store() -> bool {
    std::env::args_os().any(|argument| {
        let argument = argument.as_encoded_bytes();
        argument.starts_with(b"containers-storage:") || argument == b"containers-storage"
    })
}

/// Runs the command; those that do not wait for anything need no runtime.
fn run(cli: Cli) -> Result<()> {
    // Before anything has threads.
    if names_store() {
        rootless::enter()?;
    }
    if cli.global.debug {
        // Lines on standard error; the display itself shows nothing.
        let display = Progress::stderr(Mode::None);
        logging::init(logging::Level::Debug, display.handle());
    }
    let context = Context::new(cli.global);
    match cli.command.0 {
        Command::ManifestDigest(arguments) => commands::manifest_digest::run(&arguments),
        Command::Auth(arguments) => commands::auth::run(&arguments, &context),
        Command::Completion(arguments) => commands::completion::run(&arguments),
        Command::Man(arguments) => commands::man::run(&arguments),
        Command::Refused(command) => commands::refused::run(&command),
        Command::Serve(arguments) => commands::serve::run(&arguments, &context),
        command => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let timeout = context.global.command_timeout.map(|GoDuration(timeout)| timeout);
            stop::run(runtime, timeout, run_command(command, &context))
        }
    }
}

async fn run_command(command: Command, context: &Context) -> Result<()> {
    match command {
        Command::Copy(arguments) => commands::copy::run(arguments.0, context).await,
        Command::Sync(arguments) => commands::sync::run(arguments.0, context).await,
        Command::Inspect(arguments) => commands::inspect::run(arguments.0, context).await,
        Command::ListTags(arguments) => commands::list_tags::run(arguments.0, context).await,
        Command::Catalog(arguments) => commands::catalog::run(arguments.0, context).await,
        Command::Digest(arguments) => commands::digest::run(arguments.0, context).await,
        Command::Referrers(arguments) => commands::referrers::run(arguments.0, context).await,
        Command::Tag(arguments) => commands::tag::run(arguments.0, context).await,
        Command::Untag(arguments) => commands::untag::run(arguments.0, context).await,
        Command::Delete(arguments) => commands::delete::run(arguments.0, context).await,
        Command::Validate(arguments) => commands::validate::run(arguments.0, context).await,
        Command::Login(arguments) => login::run(arguments.0, &context.settings).await,
        Command::Logout(arguments) => logout::run(arguments.0, &context.settings).await,
        Command::ManifestDigest(_)
        | Command::Auth(_)
        | Command::Completion(_)
        | Command::Man(_)
        | Command::Refused(_)
        | Command::Serve(_) => {
            unreachable!("these run without this runtime")
        }
    }
}
