//! Which command of containers it is.

use std::process::ExitCode;

use anyhow::Result;
use cask_program::command_line::WhenNamed;
use clap::Subcommand;

use super::{
    attach, clone, commit, cp, create, diff, events, exec, exists, export, healthcheck, init,
    inspect, kill, logs, mount, network, pause, pod, port, prune, ps, refused, rename, restart, rm,
    run as running, runlabel, secret, start, stats, stop, top, update, volume, wait,
};
use crate::context::Context;

/// What is done to containers.
#[derive(Debug, Subcommand)]
pub(crate) enum ContainerVerb {
    Attach(WhenNamed<attach::Arguments>),
    Commit(WhenNamed<commit::Arguments>),
    Cp(WhenNamed<cp::Arguments>),
    Create(WhenNamed<create::Arguments>),
    Diff(WhenNamed<diff::Arguments>),
    Events(WhenNamed<events::Arguments>),
    Exec(WhenNamed<exec::Arguments>),
    Export(WhenNamed<export::Arguments>),
    Init(WhenNamed<init::Arguments>),
    Kill(WhenNamed<kill::Arguments>),
    Logs(WhenNamed<logs::Arguments>),
    Mount(WhenNamed<mount::Arguments>),
    Pause(WhenNamed<pause::Arguments>),
    Port(WhenNamed<port::Arguments>),
    Ps(WhenNamed<ps::Arguments>),
    Rename(WhenNamed<rename::Arguments>),
    Restart(WhenNamed<restart::Arguments>),
    Rm(WhenNamed<rm::Arguments>),
    Run(WhenNamed<running::Arguments>),
    Start(WhenNamed<start::Arguments>),
    Stats(WhenNamed<stats::Arguments>),
    Stop(WhenNamed<stop::Arguments>),
    Top(WhenNamed<top::Arguments>),
    #[command(visible_alias = "umount")]
    Unmount(WhenNamed<mount::UnmountArguments>),
    Unpause(WhenNamed<pause::UnpauseArguments>),
    Update(WhenNamed<update::Arguments>),
    Wait(WhenNamed<wait::Arguments>),
    #[command(subcommand)]
    Container(WhenNamed<ContainerCommand>),
    #[command(subcommand)]
    Healthcheck(WhenNamed<healthcheck::HealthcheckCommand>),
    #[command(subcommand)]
    Secret(WhenNamed<secret::SecretCommand>),
    #[command(subcommand)]
    Network(WhenNamed<network::NetworkCommand>),
    #[command(subcommand)]
    Volume(WhenNamed<volume::VolumeCommand>),
    #[command(subcommand)]
    Pod(WhenNamed<pod::PodCommand>),
    #[command(flatten)]
    Refused(refused::Alone),
}

/// Manage containers
#[derive(Debug, Subcommand)]
pub(crate) enum ContainerCommand {
    Attach(WhenNamed<attach::Arguments>),
    Clone(WhenNamed<clone::Arguments>),
    Commit(WhenNamed<commit::Arguments>),
    Cp(WhenNamed<cp::Arguments>),
    Create(WhenNamed<create::Arguments>),
    Diff(WhenNamed<diff::Arguments>),
    Exec(WhenNamed<exec::Arguments>),
    Exists(WhenNamed<exists::Arguments>),
    Export(WhenNamed<export::Arguments>),
    Init(WhenNamed<init::Arguments>),
    Inspect(WhenNamed<inspect::Arguments>),
    Kill(WhenNamed<kill::Arguments>),
    #[command(name = "ls", visible_aliases = ["list", "ps"])]
    List(WhenNamed<ps::Arguments>),
    Logs(WhenNamed<logs::Arguments>),
    Mount(WhenNamed<mount::Arguments>),
    Pause(WhenNamed<pause::Arguments>),
    Port(WhenNamed<port::Arguments>),
    Prune(WhenNamed<prune::Arguments>),
    Rename(WhenNamed<rename::Arguments>),
    Restart(WhenNamed<restart::Arguments>),
    Rm(WhenNamed<rm::Arguments>),
    Run(WhenNamed<running::Arguments>),
    Runlabel(WhenNamed<runlabel::Arguments>),
    Start(WhenNamed<start::Arguments>),
    Stats(WhenNamed<stats::Arguments>),
    Stop(WhenNamed<stop::Arguments>),
    Top(WhenNamed<top::Arguments>),
    #[command(visible_alias = "umount")]
    Unmount(WhenNamed<mount::UnmountArguments>),
    Unpause(WhenNamed<pause::UnpauseArguments>),
    Update(WhenNamed<update::Arguments>),
    Wait(WhenNamed<wait::Arguments>),
    #[command(flatten)]
    Refused(refused::OfContainer),
}

/// What stands alone only, or means something else there.
enum Alone {
    Diff(WhenNamed<diff::Arguments>),
    Events(WhenNamed<events::Arguments>),
    Healthcheck(WhenNamed<healthcheck::HealthcheckCommand>),
    Secret(WhenNamed<secret::SecretCommand>),
    Network(WhenNamed<network::NetworkCommand>),
    Pod(WhenNamed<pod::PodCommand>),
    Refused(refused::Alone),
    Volume(WhenNamed<volume::VolumeCommand>),
}

impl ContainerVerb {
    /// Whether what the command does ends with its mount namespace.
    pub(crate) fn mounts_to_stay(&self) -> bool {
        match self {
            Self::Mount(arguments)
            | Self::Container(WhenNamed(ContainerCommand::Mount(arguments))) => !arguments.lists(),
            _ => false,
        }
    }

    /// Those that stand both alone and after `container`.
    fn plain(self) -> Result<ContainerCommand, Box<Alone>> {
        use ContainerCommand as To;
        Ok(match self {
            Self::Attach(arguments) => To::Attach(arguments),
            Self::Commit(arguments) => To::Commit(arguments),
            Self::Cp(arguments) => To::Cp(arguments),
            Self::Create(arguments) => To::Create(arguments),
            Self::Diff(arguments) => return Err(Box::new(Alone::Diff(arguments))),
            Self::Events(arguments) => return Err(Box::new(Alone::Events(arguments))),
            Self::Exec(arguments) => To::Exec(arguments),
            Self::Export(arguments) => To::Export(arguments),
            Self::Init(arguments) => To::Init(arguments),
            Self::Kill(arguments) => To::Kill(arguments),
            Self::Logs(arguments) => To::Logs(arguments),
            Self::Mount(arguments) => To::Mount(arguments),
            Self::Pause(arguments) => To::Pause(arguments),
            Self::Port(arguments) => To::Port(arguments),
            Self::Ps(arguments) => To::List(arguments),
            Self::Rename(arguments) => To::Rename(arguments),
            Self::Restart(arguments) => To::Restart(arguments),
            Self::Rm(arguments) => To::Rm(arguments),
            Self::Run(arguments) => To::Run(arguments),
            Self::Start(arguments) => To::Start(arguments),
            Self::Stats(arguments) => To::Stats(arguments),
            Self::Stop(arguments) => To::Stop(arguments),
            Self::Top(arguments) => To::Top(arguments),
            Self::Unmount(arguments) => To::Unmount(arguments),
            Self::Unpause(arguments) => To::Unpause(arguments),
            Self::Update(arguments) => To::Update(arguments),
            Self::Wait(arguments) => To::Wait(arguments),
            Self::Container(WhenNamed(command)) => command,
            Self::Healthcheck(command) => return Err(Box::new(Alone::Healthcheck(command))),
            Self::Secret(command) => return Err(Box::new(Alone::Secret(command))),
            Self::Network(command) => return Err(Box::new(Alone::Network(command))),
            Self::Pod(command) => return Err(Box::new(Alone::Pod(command))),
            Self::Volume(command) => return Err(Box::new(Alone::Volume(command))),
            Self::Refused(command) => return Err(Box::new(Alone::Refused(command))),
        })
    }
}

/// Does it.
pub(crate) fn run(verb: ContainerVerb, context: &Context) -> Result<ExitCode> {
    use ContainerCommand as Of;
    match verb.plain() {
        Err(alone) => match *alone {
            Alone::Diff(arguments) => diff::run(&arguments, diff::Kind::Any, context),
            Alone::Events(arguments) => events::run(&arguments, context),
            Alone::Healthcheck(command) => healthcheck::run(&command, context),
            Alone::Secret(command) => secret::run(&command, context),
            Alone::Network(command) => network::run(command.0, context),
            Alone::Pod(command) => pod::run(command.0, context),
            Alone::Refused(command) => refused::alone(&command),
            Alone::Volume(command) => volume::run(command.0, context),
        },
        Ok(Of::Attach(arguments)) => attach::run(&arguments, context),
        Ok(Of::Clone(arguments)) => clone::run(&arguments, context),
        Ok(Of::Commit(arguments)) => commit::run(&arguments, context),
        Ok(Of::Cp(arguments)) => cp::run(&arguments, context),
        Ok(Of::Create(arguments)) => create::run(arguments.0, context),
        Ok(Of::Diff(arguments)) => diff::run(&arguments, diff::Kind::Container, context),
        Ok(Of::Exec(arguments)) => exec::run(&arguments, context),
        Ok(Of::Exists(arguments)) => exists::run(&arguments, context),
        Ok(Of::Export(arguments)) => export::run(&arguments, context),
        Ok(Of::Init(arguments)) => init::run(&arguments, context),
        Ok(Of::Inspect(arguments)) => inspect::run(&arguments, context),
        Ok(Of::Kill(arguments)) => kill::run(&arguments, context),
        Ok(Of::List(arguments)) => ps::run(&arguments, context),
        Ok(Of::Logs(arguments)) => logs::run(&arguments, context),
        Ok(Of::Mount(arguments)) => mount::run(&arguments, context),
        Ok(Of::Pause(arguments)) => pause::run(&arguments, context),
        Ok(Of::Port(arguments)) => port::run(&arguments, context),
        Ok(Of::Prune(arguments)) => prune::run(&arguments, context),
        Ok(Of::Refused(command)) => refused::of_container(&command),
        Ok(Of::Rename(arguments)) => rename::run(&arguments, context),
        Ok(Of::Restart(arguments)) => restart::run(&arguments, context),
        Ok(Of::Rm(arguments)) => rm::run(&arguments, context),
        Ok(Of::Run(arguments)) => running::run(arguments.0, context),
        Ok(Of::Runlabel(arguments)) => runlabel::run(&arguments, context),
        Ok(Of::Start(arguments)) => start::run(&arguments, context),
        Ok(Of::Stats(arguments)) => stats::run(&arguments, context),
        Ok(Of::Stop(arguments)) => stop::run(&arguments, context),
        Ok(Of::Top(arguments)) => top::run(&arguments, context),
        Ok(Of::Unmount(arguments)) => mount::unmount(&arguments, context),
        Ok(Of::Unpause(arguments)) => pause::unpause(&arguments, context),
        Ok(Of::Update(arguments)) => update::run(&arguments, context),
        Ok(Of::Wait(arguments)) => wait::run(&arguments, context),
    }
}

/// What this program does where it was started again by itself: the monitor or the helper of a container.
pub(crate) fn internal() -> Option<ExitCode> {
    let first = std::env::args_os().nth(1)?;
    let code = match first.to_str()? {
        cask_engine::MONITOR_ARGUMENT => cask_engine::run_monitor(),
        "__run-helper" => cask_runtime::run_helper(),
        _ => return None,
    };
    Some(code.into())
}
