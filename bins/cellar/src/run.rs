//! From the arguments to the exit code.

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, bail};
use cask_engine::ErrorKind;
use cask_program::command_line::WhenNamed;
use cask_program::{command_line, containers_conf, logout, manifest, report, rootless, stop, tag};
use cask_terminal::logging::{self, Level};
use cask_terminal::progress::{Mode, Progress};
use cask_terminal::report::Exit;

use crate::cli::{Cli, Command, GlobalArguments, ImageCommand, SystemCommand};
use crate::commands::{self, containers::ContainerVerb};
use crate::context::Context;

/// Parses, runs, reports.
pub(crate) fn main() -> ExitCode {
    if let Some(code) = commands::containers::internal() {
        return code;
    }
    if std::env::args_os().nth(1).is_some_and(|first| first == "__run-helper") {
        return cask_runtime::run_helper().into();
    }
    if let Some(code) = commands::complete::asked() {
        return code;
    }
    let cli = match command_line::parse::<Cli>() {
        Ok(cli) => cli,
        Err(error) => return command_line::wrong::<Cli>(&error, false).into(),
    };
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            report::engine_failure(&error, hint);
            Exit::EngineFailure.into()
        }
    }
}

/// What the user can do about an error of the images or the store.
pub(crate) fn hint<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e str> {
    let of_network = || error.downcast_ref::<cask_network::Error>()?.hint();
    error.downcast_ref::<cask_engine::Error>().and_then(|error| error.hint()).or_else(of_network)
}

/// Runs the command; only those that wait for others need a runtime.
#[expect(clippy::too_many_lines, reason = "one arm for each command")]
fn run(cli: Cli) -> Result<ExitCode> {
    cli.refused.check()?;
    containers_conf::use_modules(cli.global.module.clone());
    containers_conf::take_environment()?;
    if cli.command.mounts_to_stay() && !rustix::process::getuid().is_root() {
        bail!("mounts of a user last as long as a namespace: must execute `cellar unshare` first");
    }
    // Before anything has threads.
    if cli.command.touches_layers() {
        rootless::enter()?;
    }
    if let Err(error) = prepare(&cli.global) {
        report::say(&format!("{error:#}"));
        return Ok(ExitCode::FAILURE);
    }
    let context = Context::new(cli.global);
    let done = |()| ExitCode::SUCCESS;
    match cli.command.0 {
        Command::Containers(verb) => commands::containers::run(verb.0, &context),
        Command::Build(arguments) | Command::Image(WhenNamed(ImageCommand::Build(arguments))) => {
            commands::buildx::build(arguments.0, &context)
        }
        Command::Image(WhenNamed(ImageCommand::Scp(arguments))) => {
            commands::scp::run(&arguments, &context).map(done)
        }
        Command::Search(arguments) | Command::Image(WhenNamed(ImageCommand::Search(arguments))) => {
            wait(commands::search::run(arguments.0, &context)).map(done)
        }
        Command::Artifact(command) => commands::artifact::run(command.0, &context),
        Command::Buildx(WhenNamed(command)) => commands::buildx::run(command, &context),
        Command::Images(arguments) | Command::Image(WhenNamed(ImageCommand::List(arguments))) => {
            commands::list::run(&arguments, &context).map(done)
        }
        Command::Inspect(arguments) => commands::inspect_any::run(&arguments, &context),
        Command::Image(WhenNamed(ImageCommand::Inspect(arguments))) => {
            commands::inspect::run(&arguments, &context).map(done)
        }
        Command::Pull(arguments) | Command::Image(WhenNamed(ImageCommand::Pull(arguments))) => {
            wait(commands::pull::run(arguments.0, &context)).map(done)
        }
        Command::Push(arguments) | Command::Image(WhenNamed(ImageCommand::Push(arguments))) => {
            wait(commands::push::run(arguments.0, &context)).map(done)
        }
        Command::Save(arguments) | Command::Image(WhenNamed(ImageCommand::Save(arguments))) => {
            wait(commands::save::run(arguments.0, &context)).map(done)
        }
        Command::Load(arguments) | Command::Image(WhenNamed(ImageCommand::Load(arguments))) => {
            wait(commands::load::run(arguments.0, &context)).map(done)
        }
        Command::Import(arguments) | Command::Image(WhenNamed(ImageCommand::Import(arguments))) => {
            wait(commands::import::run(arguments.0, &context)).map(done)
        }
        Command::History(arguments)
        | Command::Image(WhenNamed(ImageCommand::History(arguments))) => {
            commands::history::run(&arguments, &context).map(done)
        }
        Command::Rmi(arguments) | Command::Image(WhenNamed(ImageCommand::Remove(arguments))) => {
            commands::remove::run(&arguments, &context)
        }
        Command::Tag(arguments) | Command::Image(WhenNamed(ImageCommand::Tag(arguments))) => {
            tag::run(&arguments, &context.images()?).map(done)
        }
        Command::Untag(arguments) | Command::Image(WhenNamed(ImageCommand::Untag(arguments))) => {
            commands::untag::run(&arguments, &context).map(done)
        }
        Command::Image(WhenNamed(ImageCommand::Diff(arguments))) => {
            commands::containers::image_diff(&arguments, &context)
        }
        Command::Image(WhenNamed(ImageCommand::Exists(arguments))) => {
            commands::exists::run(&arguments, &context)
        }
        Command::Image(WhenNamed(ImageCommand::Prune(arguments))) => {
            commands::prune::run(&arguments, &context).map(done)
        }
        Command::Image(WhenNamed(ImageCommand::Tree(arguments))) => {
            commands::tree::run(&arguments, &context).map(done)
        }
        Command::Image(WhenNamed(ImageCommand::Trust(command))) => {
            commands::trust::run(&command.0, &context).map(done)
        }
        Command::System(WhenNamed(SystemCommand::Df(arguments))) => {
            commands::disk_usage::run(&arguments, &context).map(done)
        }
        Command::Image(WhenNamed(ImageCommand::Mount(arguments))) => {
            commands::mount::run(&arguments, &context).map(done)
        }
        Command::Image(WhenNamed(ImageCommand::Unmount(arguments))) => {
            commands::unmount::run(&arguments, &context).map(done)
        }
        Command::System(WhenNamed(SystemCommand::Check(arguments))) => {
            commands::check::run(&arguments, &context)
        }
        Command::System(WhenNamed(SystemCommand::Events(arguments))) => {
            commands::containers::run(ContainerVerb::Events(arguments), &context)
        }
        Command::System(WhenNamed(SystemCommand::Migrate(arguments))) => {
            commands::system_migrate::run(&arguments, &context)
        }
        Command::System(WhenNamed(SystemCommand::Prune(arguments))) => {
            commands::system_prune::run(&arguments, &context)
        }
        Command::System(WhenNamed(SystemCommand::Reset(arguments))) => {
            commands::system_reset::run(&arguments, &context)
        }
        Command::Info(arguments) | Command::System(WhenNamed(SystemCommand::Info(arguments))) => {
            commands::info::run(&arguments, &context).map(done)
        }
        Command::Image(WhenNamed(ImageCommand::Refused(command))) => {
            commands::refused::of_image(&command)
        }
        Command::System(WhenNamed(SystemCommand::Refused(command))) => {
            commands::refused::of_system(&command)
        }
        Command::Unshare(arguments) => commands::unshare::run(&arguments, &context),
        Command::Manifest(command) => {
            let images = context.images()?;
            manifest::run(command.0, &images, &context.settings, manifest::Manner::Podman)
        }
        Command::Version(arguments) => commands::version::run(&arguments).map(done),
        Command::Completion(arguments) => commands::completion::run(&arguments).map(done),
        Command::Man(arguments) => commands::man::run(&arguments).map(done),
        Command::Login(arguments) => wait(commands::login::run(arguments.0, &context)).map(done),
        Command::Logout(arguments) => {
            let arguments = arguments.0.or_searched(&context.settings)?;
            wait(logout::run(arguments, &context.settings)).map(done)
        }
    }
}

/// Where the output goes, and what is logged. What is wrong with that is said as podman says it, who exits with 1.
///
/// Source: podman, `cmd/podman/root.go`, `stdOutHook` and `loggingHook`.
fn prepare(global: &GlobalArguments) -> Result<()> {
    let null = global.noout.then_some(Path::new("/dev/null"));
    if let Some(path) = null.or(global.out.as_deref()) {
        let failed = || format!("unable to open file for standard output: open {}", path.display());
        let file = File::create(path).with_context(failed)?;
        rustix::stdio::dup2_stdout(file).with_context(failed)?;
    }
    if let Some(path) = &global.config
        && path.exists()
        && !path.is_dir()
    {
        bail!("Supplied --config file ({}) is not a directory", path.display());
    }
    let level = match (&global.log_level, global.debug) {
        (Some(_), true) => bail!("Setting --log-level and --debug is not allowed"),
        (None, true) => Level::Debug,
        (None, false) => Level::Warning,
        (Some(text), false) => text.parse().map_err(|_| {
            anyhow!(
                "Log Level {text:?} is not supported, choose from: trace, debug, info, warn, warning, error, fatal, panic"
            )
        })?,
    };
    if global.syslog == Some(true) && !cask_terminal::syslog::init("cellar", level) {
        report::note("--syslog: the system's log does not listen at /dev/log");
    }
    if level > Level::Warning {
        // Lines on standard error; the display itself shows nothing.
        logging::init(level, Progress::stderr(Mode::None).handle());
    }
    Ok(())
}

/// Runs what waits for others, until it is done or stopped.
pub(crate) fn wait<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    stop::run(runtime, None, work)
}

/// Whether an error says that an image is not known.
pub(crate) fn is_not_known(error: &cask_engine::Error) -> bool {
    error.kind() == ErrorKind::ImageNotKnown
}
