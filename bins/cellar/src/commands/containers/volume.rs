//! `cellar volume`

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use cask_engine::{Containers, ErrorKind, RemoveOptions, Volume, VolumeOptions, Volumes};
use cask_image::Timestamp;
use cask_program::{output, report};
use cask_terminal::template::{Headers, Origin, is_json_format};
use cask_terminal::value::{JsonStyle, Time};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::filter::{self, has_labels, made_before};
use super::options::pairs;
use super::several::finish;
use super::volume_files;
use crate::commands::prune::is_meant;
use crate::context::Context;
use crate::show;

/// Manage volumes
#[derive(Debug, Subcommand)]
pub(crate) enum VolumeCommand {
    /// Make a volume
    Create(CreateArguments),
    /// Say by the exit code whether there is such a volume
    Exists {
        /// The volume
        name: String,
    },
    /// Write the files of a volume as a tarball
    Export(volume_files::ExportArguments),
    /// Put the files of a tarball into a volume
    Import(volume_files::ImportArguments),
    /// Print everything about volumes
    Inspect(InspectArguments),
    /// List volumes
    #[command(name = "ls", visible_alias = "list")]
    List(ListArguments),
    /// Mount what volumes are made from, where they have options, and print where their files are
    Mount(NamesArguments),
    /// Remove every volume that no container has
    Prune(PruneArguments),
    /// Take in the volumes of plugins: there are none, so that nothing changes
    Reload,
    /// Remove volumes
    #[command(name = "rm")]
    Remove(RemoveArguments),
    /// Let go of what mount gave
    #[command(visible_alias = "umount")]
    Unmount(NamesArguments),
}

/// Some volumes
#[derive(Args, Debug)]
pub(crate) struct NamesArguments {
    /// The volumes
    #[arg(required = true)]
    names: Vec<String>,
}

/// Make a volume
#[derive(Args, Debug)]
pub(crate) struct CreateArguments {
    /// Its name [default: one of chance]
    name: Option<String>,
    /// Who keeps it: local, or image, where it begins with the files of the image that --opt image=IMAGE names
    #[arg(short, long, value_name = "DRIVER", default_value = "local")]
    driver: String,
    /// Set a label
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    label: Vec<String>,
    /// Set an option of the driver
    #[arg(short, long, value_name = "NAME=VALUE")]
    opt: Vec<String>,
    /// Do not fail where it exists
    #[arg(long)]
    ignore: bool,
    /// The number of the user whose it is [default: that of the first image that fills it]
    #[arg(long, value_name = "NUMBER")]
    uid: Option<u32>,
    /// The number of the group whose it is
    #[arg(long, value_name = "NUMBER")]
    gid: Option<u32>,
}

/// Print everything about volumes
#[derive(Args, Debug)]
pub(crate) struct InspectArguments {
    /// The volumes
    names: Vec<String>,
    /// All volumes
    #[arg(short, long)]
    all: bool,
    /// Print what a Go template says
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

/// List volumes
#[derive(Args, Debug)]
pub(crate) struct ListArguments {
    /// Only those that fit, such as name=TEXT, label=KEY=VALUE or dangling=true
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Print JSON, or what a Go template says
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Print no headings
    #[arg(short, long)]
    noheading: bool,
    /// Print only names
    #[arg(short, long)]
    quiet: bool,
}

/// Remove every volume that no container has
#[derive(Args, Debug)]
pub(crate) struct PruneArguments {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Only those that fit
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Those too that have names of their own, which is always done
    #[arg(short, long)]
    all: bool,
    /// Only print what would be removed
    #[arg(long)]
    dry_run: bool,
}

/// Remove volumes
#[derive(Args, Debug)]
pub(crate) struct RemoveArguments {
    /// The volumes
    names: Vec<String>,
    /// All volumes
    #[arg(short, long)]
    all: bool,
    /// Remove the containers too that have them
    #[arg(short, long)]
    force: bool,
    /// Seconds from the request to end to the end of a container
    #[arg(short, long, value_name = "SECONDS")]
    time: Option<u32>,
}

/// What is printed of a volume. Source: podman, `libpod/define/volume_inspect.go`.
#[derive(Serialize)]
#[serde(rename = "*entities.VolumeListReport")]
pub(crate) struct Shown {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Driver")]
    driver: String,
    #[serde(rename = "Mountpoint")]
    mount_point: String,
    #[serde(rename = "CreatedAt")]
    created_at: Time,
    #[serde(rename = "Labels")]
    labels: BTreeMap<String, String>,
    #[serde(rename = "Scope")]
    scope: &'static str,
    #[serde(rename = "Options")]
    options: BTreeMap<String, String>,
    #[serde(rename = "UID json:,omitempty")]
    uid: u32,
    #[serde(rename = "GID json:,omitempty")]
    gid: u32,
    #[serde(rename = "Anonymous json:,omitempty")]
    anonymous: bool,
    #[serde(rename = "MountCount")]
    mount_count: usize,
    #[serde(rename = "NeedsCopyUp json:,omitempty")]
    needs_copy_up: bool,
    #[serde(rename = "NeedsChown json:,omitempty")]
    needs_chown: bool,
    #[serde(rename = "StorageID json:,omitempty")]
    storage: String,
}

/// Does it.
pub(crate) fn run(command: VolumeCommand, context: &Context) -> Result<ExitCode> {
    match command {
        VolumeCommand::Create(arguments) => create(&arguments, context),
        VolumeCommand::Exists { name } => exists(&name, context),
        VolumeCommand::Export(arguments) => volume_files::export(&arguments, context),
        VolumeCommand::Import(arguments) => volume_files::import(&arguments, context),
        VolumeCommand::Inspect(arguments) => inspect(&arguments, context),
        VolumeCommand::List(arguments) => list(&arguments, context),
        VolumeCommand::Mount(arguments) => each(&arguments, context, |containers, volume| {
            containers.mount_volume(volume)?;
            Ok(volume.mount_point.display().to_string())
        }),
        VolumeCommand::Prune(arguments) => prune(&arguments, context),
        VolumeCommand::Reload => Ok(ExitCode::SUCCESS),
        VolumeCommand::Remove(arguments) => remove(&arguments, context),
        VolumeCommand::Unmount(arguments) => each(&arguments, context, |containers, volume| {
            containers.unmount_volume(volume)?;
            Ok(volume.name.clone())
        }),
    }
}

pub(super) fn volumes(context: &Context) -> Result<Volumes> {
    Ok(context.containers()?.volumes())
}

fn create(arguments: &CreateArguments, context: &Context) -> Result<ExitCode> {
    let mut options = VolumeOptions::default();
    options.driver.clone_from(&arguments.driver);
    options.labels = pairs(&arguments.label);
    options.options = pairs(&arguments.opt);
    options.ignore = arguments.ignore;
    options.owner = match (arguments.uid, arguments.gid) {
        (None, None) => None,
        (user, group) => Some((user.unwrap_or(0), group.unwrap_or(0))),
    };
    let made = volumes(context)?.create(arguments.name.as_deref().unwrap_or_default(), &options)?;
    output::line(&made.name)?;
    Ok(ExitCode::SUCCESS)
}

/// Does something to each volume, and prints what comes of it.
fn each(
    arguments: &NamesArguments,
    context: &Context,
    act: impl Fn(&Containers, &Volume) -> Result<String>,
) -> Result<ExitCode> {
    let containers = context.containers()?;
    let volumes = containers.volumes();
    let mut errors = Vec::new();
    for name in &arguments.names {
        let found = volumes.find(name).map_err(anyhow::Error::from);
        match found.and_then(|volume| act(&containers, &volume)) {
            Ok(line) => output::line(&line)?,
            Err(error) => errors.push(error),
        }
    }
    Ok(finish(errors))
}

fn exists(name: &str, context: &Context) -> Result<ExitCode> {
    match volumes(context)?.find(name) {
        Ok(found) if found.name == name => Ok(ExitCode::SUCCESS),
        Ok(_) => Ok(ExitCode::FAILURE),
        Err(error) if error.kind() == ErrorKind::VolumeNotKnown => Ok(ExitCode::FAILURE),
        Err(error) => Err(error.into()),
    }
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}

fn shown(volumes: &Volumes, volume: Volume) -> Shown {
    let mount_count = volumes.uses(&volume);
    Shown {
        name: volume.name,
        driver: volume.driver,
        mount_point: volume.mount_point.display().to_string(),
        created_at: Time(volume.created),
        labels: volume.labels,
        scope: "local",
        options: volume.options,
        uid: volume.owner.map_or(0, |(user, _)| user),
        gid: volume.owner.map_or(0, |(_, group)| group),
        anonymous: volume.anonymous,
        mount_count,
        needs_copy_up: !volume.used || is_empty(&volume.mount_point),
        needs_chown: !volume.used,
        storage: volume.storage.unwrap_or_default(),
    }
}

const FIELDS: [&str; 14] = [
    "Name",
    "Driver",
    "Mountpoint",
    "CreatedAt",
    "Labels",
    "Scope",
    "Options",
    "UID",
    "GID",
    "Anonymous",
    "MountCount",
    "NeedsCopyUp",
    "NeedsChown",
    "StorageID",
];

fn inspect(arguments: &InspectArguments, context: &Context) -> Result<ExitCode> {
    let volumes = volumes(context)?;
    let mut found = Vec::new();
    let mut errors = Vec::new();
    match (arguments.all, arguments.names.is_empty()) {
        (true, true) => found = volumes.list()?,
        (false, false) => {
            for name in &arguments.names {
                match volumes.find(name) {
                    Ok(volume) => found.push(volume),
                    Err(error) => errors.push(error.into()),
                }
            }
        }
        _ => bail!("provide one or more volume names or use --all"),
    }
    let rows: Vec<Shown> = found.into_iter().map(|one| shown(&volumes, one)).collect();
    match &arguments.format {
        Some(template) if !is_json_format(template) => {
            show::rows("inspect", (template, Origin::List), None, &rows)?;
        }
        _ => show::json(&rows, JsonStyle::indented(5))?,
    }
    Ok(finish(errors))
}

/// Everything about a volume; `None` where there is none of this name.
pub(crate) fn one(name: &str, context: &Context) -> Result<Option<Shown>> {
    let volumes = volumes(context)?;
    match volumes.find(name) {
        Ok(volume) => Ok(Some(shown(&volumes, volume))),
        Err(error) if error.kind() == ErrorKind::VolumeNotKnown => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn matching(volumes: Vec<Volume>, filters: &[String], context: &Context) -> Result<Vec<Volume>> {
    let containers = context.containers()?;
    let mut kept = volumes;
    for (key, values) in filter::by_key(filters)? {
        match key {
            "name" => {
                let fits = filter::expressions(key, &values)?;
                kept.retain(|volume| fits(&volume.name));
            }
            "driver" => kept.retain(|volume| values.contains(&volume.driver.as_str())),
            "scope" => kept.retain(|_| values.contains(&"local")),
            "label" => kept.retain(|volume| has_labels(&volume.labels, &values)),
            "label!" => kept.retain(|volume| !has_labels(&volume.labels, &values)),
            "opt" => kept.retain(|volume| values.iter().any(|value| has_option(volume, value))),
            "anonymous" => {
                let fits = filter::truths(key, &values)?;
                kept.retain(|volume| fits(volume.anonymous));
            }
            "dangling" => {
                let fits = filter::truths(key, &values)?;
                let mut fitting = Vec::new();
                for volume in kept {
                    if fits(containers.users_of(&volume.name)?.is_empty()) {
                        fitting.push(volume);
                    }
                }
                kept = fitting;
            }
            "until" => {
                for value in values {
                    let is_old = made_before(value)?;
                    kept.retain(|volume| is_old(&volume.created));
                }
            }
            "since" | "after" => {
                let volumes = containers.volumes();
                for value in values {
                    let other = made(&volumes.find(value)?);
                    kept.retain(|volume| made(volume) > other);
                }
            }
            _ => bail!("{key:?} is an invalid volume filter"),
        }
    }
    Ok(kept)
}

/// When a volume was made, in seconds and nanoseconds.
fn made(volume: &Volume) -> Option<(i64, u32)> {
    let time: Timestamp = volume.created.parse().ok()?;
    Some((time.unix_seconds(), time.nanoseconds()))
}

/// Whether a volume has an option of its driver: `NAME`, or `NAME=VALUE`.
fn has_option(volume: &Volume, wanted: &str) -> bool {
    let (name, value) = wanted.split_once('=').unwrap_or((wanted, ""));
    volume.options.get(name).is_some_and(|found| value.is_empty() || found == value)
}

fn list(arguments: &ListArguments, context: &Context) -> Result<ExitCode> {
    if arguments.quiet && arguments.format.is_some() {
        bail!("quiet and format flags cannot be used together");
    }
    let volumes = volumes(context)?;
    let found = matching(volumes.list()?, &arguments.filter, context)?;
    let rows: Vec<Shown> = found.into_iter().map(|one| shown(&volumes, one)).collect();
    if arguments.quiet {
        let names: String = rows.iter().map(|row| format!("{}\n", row.name)).collect();
        output::bytes(names.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let template = arguments.format.as_deref();
    if template.is_some_and(is_json_format) {
        show::json(&rows, JsonStyle::indented(2))?;
        return Ok(ExitCode::SUCCESS);
    }
    if rows.is_empty() && template.is_none() {
        return Ok(ExitCode::SUCCESS);
    }
    let headers = Headers::from_fields(FIELDS, &[("Name", "VOLUME NAME")]);
    let headers = (!arguments.noheading).then_some(&headers);
    let usual = "table {{.Driver}}\t{{.Name}}";
    show::rows("ls", (template.unwrap_or(usual), Origin::List), headers, &rows)?;
    Ok(ExitCode::SUCCESS)
}

fn prune(arguments: &PruneArguments, context: &Context) -> Result<ExitCode> {
    if arguments.force && arguments.dry_run {
        bail!("--force and --dry-run cannot be used together");
    }
    if arguments.dry_run {
        output::line("Volumes that would be pruned:")?;
        let going = going(&arguments.filter, context)?;
        going.iter().try_for_each(|volume| output::line(&volume.name))?;
        return Ok(ExitCode::SUCCESS);
    }
    if !arguments.force {
        let question = "WARNING! This will remove all volumes not used by at least one container. The following \
                        volumes will be removed:";
        let going = going(&arguments.filter, context)?;
        if going.is_empty() {
            output::line(question)?;
            output::line("No dangling volumes found")?;
            return Ok(ExitCode::SUCCESS);
        }
        let names: Vec<&str> = going.iter().map(|volume| volume.name.as_str()).collect();
        if !is_meant(&format!("{question}\n{}\n", names.join("\n")))? {
            return Ok(ExitCode::SUCCESS);
        }
    }
    for name in unused(&arguments.filter, context)? {
        output::line(&name)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes those that no container has and that fit; says which.
pub(crate) fn unused(filters: &[String], context: &Context) -> Result<Vec<String>> {
    let containers = context.containers()?;
    let volumes = containers.volumes();
    let mut removed = Vec::new();
    for volume in going(filters, context)? {
        match containers.remove_volume(&volume) {
            // Somebody else removed it.
            Err(error) if error.kind() == ErrorKind::VolumeNotKnown => {}
            // A container was made with it meanwhile.
            Ok(users) if !users.is_empty() => {}
            removal => {
                removal?;
                volumes.note_pruned(&volume);
                removed.push(volume.name);
            }
        }
    }
    Ok(removed)
}

/// Those that no container has and that fit.
fn going(filters: &[String], context: &Context) -> Result<Vec<Volume>> {
    let containers = context.containers()?;
    let mut found = Vec::new();
    for volume in matching(containers.volumes().list()?, filters, context)? {
        if containers.users_of(&volume.name)?.is_empty() {
            found.push(volume);
        }
    }
    Ok(found)
}

/// Removes volumes: 1 where one is not known, 2 where one is in use, 125 otherwise.
///
/// Source: podman, `cmd/podman/volumes/rm.go`, `setExitCode`.
fn remove(arguments: &RemoveArguments, context: &Context) -> Result<ExitCode> {
    if arguments.names.is_empty() != arguments.all {
        bail!("choose either one or more volumes or all");
    }
    if arguments.time.is_some() && !arguments.force {
        bail!("--force option must be specified to use the --time option");
    }
    let containers = context.containers()?;
    let volumes = containers.volumes();
    let mut names = arguments.names.clone();
    if arguments.all {
        names = volumes.list()?.into_iter().map(|volume| volume.name).collect();
    }
    let mut code = 0;
    for name in names {
        let found = volumes.find(&name);
        let removed =
            found.and_then(|found| Ok((remove_one(&found, arguments, &containers)?, found)));
        match removed {
            Ok((users, _)) if users.is_empty() => output::line(&name)?,
            Ok((users, volume)) => {
                code = 2;
                report::engine_usage(&format!(
                    "volume {} is being used by the following container(s): {}: volume is being used",
                    volume.name,
                    users.join(", ")
                ));
            }
            Err(error) if arguments.force && error.kind() == ErrorKind::VolumeNotKnown => {}
            Err(error) => {
                code = match error.kind() {
                    ErrorKind::VolumeNotKnown => 1,
                    _ if code == 0 => 125,
                    _ => code,
                };
                report::engine_failure(&error.into(), crate::run::hint);
            }
        }
    }
    Ok(ExitCode::from(code))
}

/// Removes a volume, by force with the containers that have it; else gives their IDs.
fn remove_one(
    volume: &Volume,
    arguments: &RemoveArguments,
    containers: &Containers,
) -> cask_engine::Result<Vec<String>> {
    let mut options = RemoveOptions::default();
    options.force = true;
    options.timeout = arguments.time;
    loop {
        let users = containers.remove_volume(volume)?;
        if users.is_empty() || !arguments.force {
            return Ok(users.iter().map(|user| user.id().to_owned()).collect());
        }
        users.iter().try_for_each(|user| containers.remove(user, &options))?;
    }
}
