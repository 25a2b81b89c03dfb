//! `cellar commit`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use cask_build::{CommitOptions, CommittedImage, ConfigChange, WorkingContainers};
use cask_engine::{Container, Containers, MountType, Status, config_of_changes};
use cask_image::{ExecutionConfig, ImageFormat, Timestamp};
use cask_program::{output, override_config, report};
use clap::Args;

use crate::context::Context;

/// Make an image of a container
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The container, and what the image shall be called
    #[arg(value_names = ["CONTAINER", "IMAGE"])]
    names: Vec<String>,
    /// Who made it
    #[arg(short, long, value_name = "NAME")]
    author: Option<String>,
    /// Change the config, such as CMD=/bin/sh, ENV=A=b or 'LABEL a=b'
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// A config of Docker's as JSON, which comes over what the container says
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The format of the image: oci or docker
    #[arg(short, long, value_name = "FORMAT", default_value = "oci")]
    format: String,
    /// Write the ID of the image to this file
    #[arg(long, value_name = "FILE")]
    iidfile: Option<PathBuf>,
    /// Have every volume of the container be one of the image
    #[arg(long)]
    include_volumes: bool,
    /// A comment (docker format only)
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// Have the container stand meanwhile
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pause: Option<bool>,
    /// Print nothing but the ID
    #[arg(short, long)]
    quiet: bool,
    /// Make one layer of all files, those of the image below included
    #[arg(short, long)]
    squash: bool,
}

/// Makes it, and prints its ID.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let (name, wanted) = match arguments.names.as_slice() {
        [name] => (name, None),
        [name, wanted] => (name, Some(wanted.as_str()).filter(|wanted| !wanted.is_empty())),
        other => bail!("accepts between 1 and 2 arg(s), received {}", other.len()),
    };
    let format = match arguments.format.as_str() {
        "oci" => ImageFormat::Oci,
        "docker" => ImageFormat::Docker,
        other => bail!("unrecognized image format {other:?}"),
    };
    if arguments.message.is_some() && format == ImageFormat::Oci {
        bail!("messages are only compatible with the docker image format (-f docker)");
    }
    let containers = context.containers()?;
    let container = containers.find(name)?;
    if container.config.rootfs.is_some() {
        bail!("cannot commit a container that uses an exploded rootfs");
    }
    let mut options = CommitOptions::new(now()?);
    options.format = Some(format);
    options.squash = arguments.squash;
    options.names =
        wanted.map(cask_engine::whole_name).transpose()?.iter().map(ToString::to_string).collect();
    options.changes = changes(arguments, &container)?;
    let committed = commit(&containers, &container, &options, arguments.pause.unwrap_or_default())?;
    if !arguments.quiet {
        committed.warnings.iter().for_each(|warning| report::note(warning));
    }
    containers.note(&container, "commit");
    if let Some(file) = &arguments.iidfile {
        std::fs::write(file, committed.id.as_str())
            .with_context(|| format!("failed to write image ID to file {}", file.display()))?;
    }
    output::line(committed.id.as_str())?;
    Context::warn(containers.images().store());
    Ok(ExitCode::SUCCESS)
}

/// Makes the image; one that runs stands meanwhile if that is wanted.
fn commit(
    containers: &Containers,
    container: &Container,
    options: &CommitOptions,
    pause: bool,
) -> Result<CommittedImage> {
    let paused = pause && container.state.status == Status::Running;
    if paused {
        containers
            .pause(container)
            .with_context(|| format!("error pausing container {:?} to commit", container.id()))?;
    }
    let all = WorkingContainers::new(containers.images().store().clone());
    let committed = all.borrow(container.id()).and_then(|working| working.commit(options));
    if paused {
        containers.unpause(container)?;
    }
    containers.unless_removed(container, committed.map_err(anyhow::Error::from))
}

/// What the image says: first what the container was made with, then what is changed.
///
/// Source: podman, `libpod/container_commit.go`.
fn changes(arguments: &Arguments, container: &Container) -> Result<Vec<ConfigChange>> {
    let mut changes = Vec::new();
    changes.extend(arguments.author.clone().map(ConfigChange::Author));
    changes.extend(arguments.message.clone().map(ConfigChange::Comment));
    let config = &container.config;
    let process = &config.process;
    // Without a command before, or the entry point would be said to have one.
    changes.push(ConfigChange::Command("[]".to_owned()));
    changes
        .push(ConfigChange::Entrypoint(list(process.entrypoint.as_deref().unwrap_or_default())?));
    changes.push(ConfigChange::Command(list(&process.command)?));
    changes.extend(variables(&process.environment));
    let network = &config.network;
    let published = network
        .ports
        .iter()
        .flat_map(|mapping| (0..mapping.range).map(move |offset| (mapping, offset)))
        .map(|(mapping, offset)| {
            format!("{}/{}", mapping.container_port.saturating_add(offset), mapping.protocol)
        });
    changes.push(ConfigChange::Ports(published.chain(network.exposed.iter().cloned()).collect()));
    changes.push(labels(&config.labels));
    changes.extend(process.user.clone().filter(|user| !user.is_empty()).map(ConfigChange::User));
    let mounts = config.files.mounts.iter().filter(|mount| {
        let is_volume = mount.kind == MountType::Volume && mount.anonymous;
        arguments.include_volumes || is_volume
    });
    changes.push(ConfigChange::Volumes(
        mounts.map(|mount| mount.target.display().to_string()).collect(),
    ));
    changes.extend(process.directory.clone().map(ConfigChange::WorkingDirectory));
    let mut command = process.command.clone();
    if let Some(file) = &arguments.config {
        let given = override_config::read(file).context("--config")?;
        // Docker, too, does not mind how names are written.
        let words = given.iter().find(|(name, _)| name.eq_ignore_ascii_case("Cmd"));
        if let Some(words) = words.and_then(|(_, words)| words.as_array()) {
            command = words.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect();
        }
        changes.push(ConfigChange::Config(given));
    }
    asked(&config_of_changes(&arguments.change)?, &command, &mut changes)?;
    Ok(changes)
}

/// What `--change` says of a container with this command.
fn asked(
    wanted: &ExecutionConfig,
    command: &[String],
    changes: &mut Vec<ConfigChange>,
) -> Result<()> {
    let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    changes.extend(given(&wanted.user).map(ConfigChange::User));
    changes.push(ConfigChange::Ports(wanted.exposed_ports.iter().cloned().collect()));
    changes.extend(variables(&wanted.env));
    let given_command = wanted.cmd.as_deref().filter(|words| !words.is_empty());
    let given_entrypoint = wanted.entrypoint.as_ref().filter(|words| !words.is_empty());
    if let Some(entrypoint) = given_entrypoint {
        changes.push(ConfigChange::Command("[]".to_owned()));
        changes.push(ConfigChange::Entrypoint(list(entrypoint)?));
    }
    if given_command.is_some() || given_entrypoint.is_some() {
        changes.push(ConfigChange::Command(list(given_command.unwrap_or(command))?));
    }
    changes.push(ConfigChange::Volumes(wanted.volumes.iter().cloned().collect()));
    changes.extend(given(&wanted.working_dir).map(ConfigChange::WorkingDirectory));
    changes.push(labels(&wanted.labels));
    changes.extend(given(&wanted.stop_signal).map(ConfigChange::StopSignal));
    if !wanted.on_build.is_empty() {
        changes.push(ConfigChange::OnBuild(wanted.on_build.clone()));
    }
    Ok(())
}

fn variables(entries: &[String]) -> impl Iterator<Item = ConfigChange> {
    entries.iter().map(|entry| {
        let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
        ConfigChange::Variable(name.to_owned(), value.to_owned())
    })
}

fn labels<'l>(labels: impl IntoIterator<Item = (&'l String, &'l String)>) -> ConfigChange {
    ConfigChange::Labels(
        labels.into_iter().map(|(name, value)| format!("{name}={value}")).collect(),
    )
}

fn list(words: &[String]) -> Result<String> {
    Ok(serde_json::to_string(words)?)
}

fn now() -> Result<Timestamp> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix(i64::try_from(since.as_secs())?, since.subsec_nanos())
        .context("the clock of this machine is beyond the year 9999")
}
