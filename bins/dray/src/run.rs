//! From the arguments to the exit code.

use std::process::ExitCode;

use anyhow::Result;
use cask_terminal::logging;
use cask_terminal::progress::{Mode, Progress};
use cask_terminal::report::Exit;
use clap::Parser as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Cli, Command};
use crate::commands;
use crate::context::Context;
use crate::{output, report};

/// Parses, runs, reports.
pub(crate) fn main() -> ExitCode {
    let exit = match Cli::try_parse() {
        Err(error) => usage(&error),
        Ok(cli) => match run(cli) {
            Ok(()) => Exit::Success,
            Err(error) => report::failure(&error),
        },
    };
    exit.into()
}

/// What clap has to say, in the words of the tools whose place we take.
fn usage(error: &clap::Error) -> Exit {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    let more = "Try 'dray --help' for more information";
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            match output::bytes(error.render().to_string().as_bytes()) {
                Ok(()) => Exit::Success,
                Err(error) => report::failure(&error),
            }
        }
        ErrorKind::InvalidSubcommand => {
            let command = context(ContextKind::InvalidSubcommand);
            let mut message = format!("Unrecognized command `dray {command}`\n");
            if let Some(ContextValue::Strings(similar)) =
                error.get(ContextKind::SuggestedSubcommand)
            {
                message += &format!("\nDid you mean this?\n\t{}\n\n", similar.join("\n\t"));
            }
            report::usage(&(message + more), &[])
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            report::usage(&format!("Missing command 'dray COMMAND'\n{more}"), &[])
        }
        ErrorKind::UnknownArgument => {
            let flag = context(ContextKind::InvalidArg);
            let similar = context(ContextKind::SuggestedArg);
            let hint = format!("did you mean {similar}?");
            let hints: &[&str] = if similar.is_empty() { &[] } else { &[&hint] };
            if !flag.starts_with('-') {
                let usage = format!("unexpected argument {flag:?}\n{}", usage_line(error));
                return report::usage(usage.trim_end(), &[]);
            }
            report::usage(&format!("unknown flag: {flag}"), hints)
        }
        _ => {
            let text = error.render().to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            report::usage(text.trim_end(), &[])
        }
    }
}

/// The line that shows how the command is used.
fn usage_line(error: &clap::Error) -> String {
    match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => usage.to_string(),
        _ => String::new(),
    }
}

/// Runs the command; those that do not wait for anything need no runtime.
fn run(cli: Cli) -> Result<()> {
    if cli.global.debug {
        // Lines on standard error; the display itself shows nothing.
        let display = Progress::stderr(Mode::None);
        logging::init(logging::Level::Debug, display.handle());
    }
    let context = Context { global: cli.global };
    match cli.command {
        Command::ManifestDigest(arguments) => commands::manifest_digest::run(&arguments),
        Command::Completion(arguments) => commands::completion::run(&arguments),
        Command::Man(arguments) => commands::man::run(&arguments),
        Command::Serve(arguments) => commands::serve::run(&arguments, &context),
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
        Command::Copy(arguments) => commands::copy::run(*arguments, context).await,
        Command::Inspect(arguments) => commands::inspect::run(arguments, context).await,
        Command::ListTags(arguments) => commands::list_tags::run(arguments, context).await,
        Command::Catalog(arguments) => commands::catalog::run(arguments, context).await,
        Command::Digest(arguments) => commands::digest::run(arguments, context).await,
        Command::Referrers(arguments) => commands::referrers::run(arguments, context).await,
        Command::Tag(arguments) => commands::tag::run(arguments, context).await,
        Command::Untag(arguments) => commands::untag::run(arguments, context).await,
        Command::Delete(arguments) => commands::delete::run(arguments, context).await,
        Command::Validate(arguments) => commands::validate::run(arguments, context).await,
        Command::Login(arguments) => commands::login::run(arguments, context).await,
        Command::Logout(arguments) => commands::logout::run(arguments, context).await,
        Command::ManifestDigest(_)
        | Command::Completion(_)
        | Command::Man(_)
        | Command::Serve(_) => {
            unreachable!("these run without this runtime")
        }
    }
}
