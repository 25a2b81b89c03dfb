//! The commands that build an image step by step: those of buildah.

mod commit;
mod config;
mod containers;
mod copy;
mod create;
mod execute;
mod images;
mod info;
mod inspect;
mod mount;
mod prune;
mod pull;
mod push;
mod refused;
mod remove;
mod remove_images;
mod rename;
mod unmount;

use std::process::ExitCode;

use anyhow::{Result, bail};
use cask_program::command_line::WhenNamed;
use cask_program::refused::Words;
use cask_program::{login, logout, manifest, rootless, stop, tag};
use clap::Subcommand;

use crate::context::{Context, GlobalArguments};

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    From(Box<WhenNamed<create::Arguments>>),
    Run(WhenNamed<execute::Arguments>),
    Copy(WhenNamed<copy::Arguments>),
    #[command(about = "Copy files into a working container; archives are unpacked, URLs fetched")]
    Add(WhenNamed<copy::Arguments>),
    Config(Box<WhenNamed<config::Arguments>>),
    Commit(WhenNamed<commit::Arguments>),
    Mount(WhenNamed<mount::Arguments>),
    #[command(visible_alias = "unmount")]
    Umount(WhenNamed<unmount::Arguments>),
    #[command(visible_aliases = ["list", "ls", "ps"])]
    Containers(WhenNamed<containers::Arguments>),
    Images(WhenNamed<images::Arguments>),
    #[command(alias = "delete")]
    Rm(WhenNamed<remove::Arguments>),
    Rmi(WhenNamed<remove_images::Arguments>),
    Rename(WhenNamed<rename::Arguments>),
    Tag(WhenNamed<tag::Arguments>),
    Inspect(WhenNamed<inspect::Arguments>),
    Push(WhenNamed<push::Arguments>),
    Pull(WhenNamed<pull::Arguments>),
    #[command(subcommand)]
    Manifest(WhenNamed<manifest::Command>),
    Prune(WhenNamed<prune::Arguments>),
    #[command(hide = true)]
    Source(Words),
    Info(WhenNamed<info::Arguments>),
    Login(WhenNamed<login::Arguments>),
    Logout(WhenNamed<logout::Arguments>),
}

/// Carries a command out.
pub(crate) fn run(command: Command, global: GlobalArguments) -> Result<ExitCode> {
    let touches_nothing = matches!(command, Command::Login(_) | Command::Logout(_));
    // Before anything has threads.
    if !touches_nothing && !matches!(command, Command::Mount(_) | Command::Umount(_)) {
        rootless::enter()?;
    }
    let context = Context::new(global);
    let done = |()| ExitCode::SUCCESS;
    match command {
        Command::From(arguments) => wait(create::run(arguments.0, &context)).map(done),
        Command::Run(arguments) => execute::run(&arguments, &context),
        Command::Copy(arguments) => copy::run(&arguments, false, &context).map(done),
        Command::Add(arguments) => copy::run(&arguments, true, &context).map(done),
        Command::Config(arguments) => config::run(&arguments, &context).map(done),
        Command::Commit(arguments) => wait(commit::run(arguments.0, &context)).map(done),
        Command::Mount(arguments) => mount::run(&arguments, &context).map(done),
        Command::Umount(arguments) => unmount::run(&arguments, &context).map(done),
        Command::Containers(arguments) => containers::run(&arguments, &context).map(done),
        Command::Images(arguments) => images::run(&arguments, &context).map(done),
        Command::Rm(arguments) => remove::run(&arguments, &context).map(done),
        Command::Rmi(arguments) => remove_images::run(&arguments, &context).map(done),
        Command::Rename(arguments) => rename::run(&arguments, &context).map(done),
        Command::Tag(arguments) => tag::run(&arguments, &context.images()?).map(done),
        Command::Inspect(arguments) => inspect::run(&arguments, &context).map(done),
        Command::Push(arguments) => wait(push::run(arguments.0, &context)).map(done),
        Command::Pull(arguments) => wait(pull::run(arguments.0, &context)).map(done),
        Command::Manifest(command) => {
            let images = context.images()?;
            manifest::run(command.0, &images, &context.settings, manifest::Manner::Buildah)
        }
        Command::Source(_) => bail!(refused::NO_SOURCES),
        Command::Prune(arguments) => prune::run(&arguments, &context).map(done),
        Command::Info(arguments) => info::run(&arguments, &context).map(done),
        Command::Login(arguments) => wait(login::run(arguments.0, &context.settings)).map(done),
        Command::Logout(arguments) => wait(logout::run(arguments.0, &context.settings)).map(done),
    }
}

/// Runs what waits for others, until it is done or stopped.
fn wait<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    stop::run(runtime, None, work)
}
