//! From the arguments to the exit code.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;
use clap::error::ErrorKind;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Cli, Command};
use crate::commands;
use crate::context::Context;

/// An error with what the user can do about it.
#[derive(Debug)]
pub(crate) struct Hinted {
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl std::fmt::Display for Hinted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Hinted {}

/// Parses, runs, reports.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:?}");
            exit_code(&error)
        }
    }
}

fn usage(error: &clap::Error) -> ExitCode {
    eprintln!("{error}");
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn exit_code(error: &anyhow::Error) -> ExitCode {
    let not_found = error.chain().any(|cause| {
        cause
            .downcast_ref::<cask::transport::Error>()
            .is_some_and(|error| error.kind() == cask::transport::ErrorKind::NotFound)
    });
    ExitCode::from(if not_found { 2 } else { 1 })
}

/// Runs the command; those that do not wait for anything need no runtime.
fn run(cli: Cli) -> Result<()> {
    let context = Context { global: cli.global };
    match cli.command {
        Command::ManifestDigest(arguments) => commands::manifest_digest::run(&arguments),
        Command::Completion(arguments) => commands::completion::run(&arguments),
        Command::Man(arguments) => commands::man::run(&arguments),
        command => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(run_until_stopped(command, &context))
        }
    }
}

/// Dropping the command undoes what it began.
async fn run_until_stopped(command: Command, context: &Context) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let deadline = async {
        match context.global.command_timeout {
            Some(timeout) if !timeout.0.is_zero() => tokio::time::sleep(timeout.0).await,
            _ => std::future::pending().await,
        }
    };
    tokio::select! {
        result = run_command(command, context) => result,
        _ = terminate.recv() => anyhow::bail!("terminated"),
        _ = interrupt.recv() => anyhow::bail!("interrupted"),
        () = deadline => anyhow::bail!("the command took longer than --command-timeout allows"),
    }
}

async fn run_command(command: Command, context: &Context) -> Result<()> {
    match command {
        Command::Copy(arguments) => commands::copy::run(arguments, context).await,
        Command::Inspect(arguments) => commands::inspect::run(arguments, context).await,
        Command::ListTags(arguments) => commands::list_tags::run(arguments, context).await,
        Command::Digest(arguments) => commands::digest::run(arguments, context).await,
        Command::Tag(arguments) => commands::tag::run(arguments, context).await,
        Command::Untag(arguments) => commands::untag::run(arguments, context).await,
        Command::Delete(arguments) => commands::delete::run(arguments, context).await,
        Command::Validate(arguments) => commands::validate::run(arguments, context).await,
        Command::ManifestDigest(_) | Command::Completion(_) | Command::Man(_) => {
            unreachable!("these run without a runtime")
        }
    }
}
