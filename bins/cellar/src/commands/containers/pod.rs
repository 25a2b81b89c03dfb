//! `cellar pod`

mod clone;
mod inspect;
mod list;
mod watch;
mod which;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use cask_engine::{Containers, Error, ErrorKind, Pod, PodOptions, RemoveOptions};
use cask_program::containers_conf;
use cask_program::output;
use clap::{Args, Subcommand};

use super::create::open_new;
use super::options::{PodCreateArguments, RuntimeArguments};
use super::several::finish;
use super::stop::seconds;
use super::wanted::find_missing;
use super::{kill, several};
use crate::commands::prune::is_meant;
use crate::context::Context;
use which::Which;

pub(crate) use inspect::{document, normal};
pub(super) use list::by_id;

/// Manage pods: containers that share namespaces
#[derive(Debug, Subcommand)]
pub(crate) enum PodCommand {
    /// Make a pod, with its containers, as another one was made
    Clone(Box<clone::Arguments>),
    /// Make a pod
    Create(Box<CreateArguments>),
    /// Say by the exit code whether there is such a pod
    Exists {
        /// The pod
        pod: String,
    },
    /// Print everything about pods
    Inspect(inspect::Arguments),
    /// Send a signal to the containers of pods
    Kill(KillArguments),
    /// Print what the containers of a pod printed
    Logs(watch::LogsArguments),
    /// Have all processes of pods stand
    Pause(Which),
    /// Remove the pods of which all containers have ended
    Prune(PruneArguments),
    /// List pods
    #[command(name = "ps", visible_aliases = ["ls", "list"])]
    List(list::Arguments),
    /// Stop the containers of pods and start them again
    Restart(Which),
    /// Remove pods with their containers
    #[command(name = "rm")]
    Remove(RemoveArguments),
    /// Start the containers of pods
    Start(StartArguments),
    /// Print what the containers of pods use
    Stats(watch::StatsArguments),
    /// Stop the containers of pods
    Stop(StopArguments),
    /// Print the processes of a pod
    Top(watch::TopArguments),
    /// Let the processes of pods go on
    Unpause(Which),
}

/// Make a pod
#[derive(Args, Debug)]
#[command(disable_help_flag = true, mut_arg("hostname", |arg| arg.short(None)))]
pub(crate) struct CreateArguments {
    #[command(flatten)]
    pod: PodCreateArguments,
    #[command(flatten)]
    runtime: RuntimeArguments,
}

/// Send a signal to the containers of pods
#[derive(Args, Debug)]
pub(crate) struct KillArguments {
    #[command(flatten)]
    which: Which,
    /// The signal
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL", allow_hyphen_values = true)]
    signal: String,
}

/// Remove the pods of which all containers have ended
#[derive(Args, Debug)]
pub(crate) struct PruneArguments {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

/// Remove pods with their containers
#[derive(Args, Debug)]
pub(crate) struct RemoveArguments {
    #[command(flatten)]
    which: Which,
    /// End the containers that run first; do not fail where there is no such pod
    #[arg(short, long)]
    force: bool,
    /// Do not fail where there is no such pod
    #[arg(short, long)]
    ignore: bool,
    /// Read the ID of a pod from this file, which is removed too
    #[arg(long, value_name = "FILE")]
    pod_id_file: Vec<std::path::PathBuf>,
    /// Seconds from the request to end to the end, with --force; -1 is as many as it takes
    #[arg(short, long, alias = "timeout", value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    time: Option<u32>,
}

/// Start the containers of pods
#[derive(Args, Debug)]
pub(crate) struct StartArguments {
    #[command(flatten)]
    which: Which,
    /// Read the ID of a pod from this file
    #[arg(long, value_name = "FILE")]
    pod_id_file: Vec<std::path::PathBuf>,
}

/// Stop the containers of pods
#[derive(Args, Debug)]
pub(crate) struct StopArguments {
    #[command(flatten)]
    which: Which,
    /// Do not fail where there is no such pod
    #[arg(short, long)]
    ignore: bool,
    /// Read the ID of a pod from this file
    #[arg(long, value_name = "FILE")]
    pod_id_file: Vec<std::path::PathBuf>,
    /// Seconds from the request to the end, -1 for as many as it takes [default: the container's, or 10]
    #[arg(short, long, alias = "timeout", value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    time: Option<u32>,
}

/// Does it.
pub(crate) fn run(command: PodCommand, context: &Context) -> Result<ExitCode> {
    match command {
        PodCommand::Clone(arguments) => clone::run(&arguments, context),
        PodCommand::Create(arguments) => create(&arguments, context),
        PodCommand::Exists { pod } => exists(&pod, context),
        PodCommand::Inspect(arguments) => inspect::run(&arguments, context),
        PodCommand::Kill(arguments) => {
            let signal = kill::signal(&arguments.signal)?;
            each(&arguments.which, context, "killing", |containers, pod| {
                containers.pods().kill(pod, signal)
            })
        }
        PodCommand::Logs(arguments) => watch::logs(&arguments, context),
        PodCommand::Pause(which) => {
            each(&which, context, "pausing", |containers, pod| containers.pods().pause(pod))
        }
        PodCommand::Prune(arguments) => prune(&arguments, context),
        PodCommand::List(arguments) => list::run(&arguments, context),
        PodCommand::Restart(which) => {
            each(&which, context, "restarting", |containers, pod| containers.pods().restart(pod))
        }
        PodCommand::Remove(arguments) => remove(&arguments, context),
        PodCommand::Start(arguments) => {
            let which = arguments.which.with_files(&arguments.pod_id_file);
            each(&which, context, "starting", |containers, pod| containers.pods().start(pod))
        }
        PodCommand::Stats(arguments) => watch::stats(&arguments, context),
        PodCommand::Stop(arguments) => {
            let which = arguments.which.with_files(&arguments.pod_id_file);
            let which = which.ignoring(arguments.ignore);
            each(&which, context, "stopping", |containers, pod| {
                containers.pods().stop(pod, arguments.time)
            })
        }
        PodCommand::Top(arguments) => watch::top(&arguments, context),
        PodCommand::Unpause(which) => {
            each(&which, context, "unpausing", |containers, pod| containers.pods().unpause(pod))
        }
    }
}

/// Makes it, and prints its ID.
fn create(arguments: &CreateArguments, context: &Context) -> Result<ExitCode> {
    let containers = context.containers()?;
    let conf = containers_conf::load()?;
    let CreateArguments { pod: arguments, runtime } = arguments;
    let mut options = arguments.resolve(&containers, conf)?;
    if let Some(infra) = &mut options.infra {
        infra.config.runtime = runtime.resolve(&context.global, &conf.engine)?;
    }
    let mut file = match &arguments.pod_id_file {
        None => None,
        Some(path) if path.exists() => bail!(
            "pod id file exists. Ensure another pod is not using it or delete {}",
            path.display()
        ),
        Some(path) => Some(open_new(path)?),
    };
    let pod = make(&containers, arguments.infra_image(conf), options, context)?;
    if let Some(file) = &mut file {
        file.write_all(pod.id().as_bytes()).context("failed to write pod ID to file")?;
    }
    output::line(pod.id())?;
    Ok(ExitCode::SUCCESS)
}

/// Makes it, with an infra container from an image, which is pulled where it is missing, or from nothing.
pub(super) fn make(
    containers: &Containers,
    infra_image: Option<&str>,
    options: PodOptions,
    context: &Context,
) -> Result<Pod> {
    let image = infra_image.filter(|_| options.infra.is_some());
    let image = image.map(|name| find_missing(name, containers.images(), context)).transpose()?;
    Ok(containers.pods().create(image.as_ref(), options)?)
}

fn exists(pod: &str, context: &Context) -> Result<ExitCode> {
    match context.containers()?.pods().find(pod) {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(error) if error.kind() == ErrorKind::PodNotKnown => Ok(ExitCode::FAILURE),
        Err(error) => Err(error.into()),
    }
}

/// Does something to each pod, and prints its ID where it was done to all of its containers.
fn each(
    which: &Which,
    context: &Context,
    doing: &str,
    act: impl Fn(&Containers, &Pod) -> cask_engine::Result<Vec<(String, Error)>>,
) -> Result<ExitCode> {
    let containers = context.containers()?;
    let mut errors = Vec::new();
    for pod in which.find(&containers, &mut errors)? {
        match act(&containers, &pod) {
            Ok(failures) if failures.is_empty() => output::line(pod.id())?,
            Ok(failures) => errors.extend(told(doing, failures)),
            Err(error) => errors.push(error.into()),
        }
    }
    Ok(finish(errors))
}

/// Says of which container of a pod something could not be done.
fn told(doing: &str, failures: Vec<(String, Error)>) -> impl Iterator<Item = anyhow::Error> {
    failures.into_iter().map(move |(id, error)| {
        anyhow::Error::from(error).context(format!("{doing} container {id}"))
    })
}

/// Removes them: 1 where a pod is not known, 125 otherwise.
///
/// Source: podman, `cmd/podman/pods/rm.go`.
fn remove(arguments: &RemoveArguments, context: &Context) -> Result<ExitCode> {
    if arguments.time.is_some() && !arguments.force {
        bail!("--force option must be specified to use the --time option");
    }
    let containers = context.containers()?;
    let mut options = RemoveOptions::default();
    options.force = arguments.force;
    options.timeout = arguments.time;
    let which = arguments.which.with_files(&arguments.pod_id_file);
    let which = which.ignoring(arguments.ignore || arguments.force);
    let mut errors = Vec::new();
    let found = which.find(&containers, &mut errors)?;
    if arguments.which.all {
        containers.pods().tidy()?;
    }
    for pod in found {
        match containers.pods().remove(&pod, &options) {
            Ok(()) => output::line(pod.id())?,
            Err(error) if which.forgives(&error) => {}
            Err(error) => errors.push(error.into()),
        }
    }
    if errors.is_empty() {
        for file in arguments.pod_id_file.iter().filter(|file| file.exists()) {
            std::fs::remove_file(file).with_context(|| format!("remove {}", file.display()))?;
        }
    }
    let unknown = |error: &anyhow::Error| {
        let kind = error.downcast_ref::<Error>().map(Error::kind);
        kind == Some(ErrorKind::PodNotKnown)
    };
    let only_unknown = !errors.is_empty() && errors.iter().all(unknown);
    let code = finish(errors);
    Ok(if only_unknown { ExitCode::FAILURE } else { code })
}

fn prune(arguments: &PruneArguments, context: &Context) -> Result<ExitCode> {
    let question = "WARNING! This will remove all stopped/exited pods..\n";
    if !arguments.force && !is_meant(question)? {
        return Ok(ExitCode::SUCCESS);
    }
    let mut errors = Vec::new();
    for id in unused(&context.containers()?, &mut errors)? {
        output::line(&id)?;
    }
    Ok(several::finish(errors))
}

/// Removes those of which all containers have ended; says which.
pub(crate) fn unused(
    containers: &Containers,
    errors: &mut Vec<anyhow::Error>,
) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    for (pod, result) in containers.pods().prune()? {
        match result {
            Ok(()) => removed.push(pod.id().to_owned()),
            Err(error) => errors.push(error.into()),
        }
    }
    Ok(removed)
}
