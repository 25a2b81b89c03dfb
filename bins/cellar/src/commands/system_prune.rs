//! `cellar system prune`

use std::process::ExitCode;

use anyhow::{Result, bail};
use cask_engine::{Containers, Filter, Images, Prune};
use cask_program::output;
use cask_storage::PruneOptions;
use cask_terminal::table::human_size_with_precision;
use clap::Args;

use super::containers::{finish, prune_containers, prune_networks, prune_pods, prune_volumes};
use crate::commands::prune::is_meant;
use crate::context::Context;
use crate::moment;

/// Remove what nobody needs: stopped containers, networks, images, and what interrupted commands
/// have left in the store
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Remove all images that no container uses, not only those without a name
    #[arg(short, long)]
    all: bool,
    /// Remove only what fits, such as label=KEY=VALUE or until=24h
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Remove volumes too that no container has
    #[arg(long)]
    volumes: bool,
    /// Remove only what interrupted commands have left in the store, without a question
    #[arg(long)]
    external: bool,
    /// Remove the working containers of builds too
    #[arg(long)]
    build: bool,
}

/// Removes.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    if arguments.external {
        return external(arguments, context);
    }
    let now = moment::now();
    let filters = arguments.filter.iter().map(|text| Filter::parse(text, now));
    let mut prune = Prune::default();
    prune.all = arguments.all;
    prune.filters = filters.collect::<Result<_, _>>()?;
    if !arguments.force && !is_meant(&question(arguments))? {
        return Ok(ExitCode::SUCCESS);
    }
    let (images, containers) = (context.images()?, context.containers()?);
    let before = used(&images, &containers)?;
    let mut errors = Vec::new();
    let mut text = String::new();
    let mut list = |heading: &str, gone: &[String]| {
        if !gone.is_empty() {
            text.push_str(&format!("Deleted {heading}\n"));
            text.extend(gone.iter().map(|one| format!("{one}\n")));
        }
    };
    let mut stopped = match arguments.build {
        true => images.prune_builds()?.iter().map(ToString::to_string).collect(),
        false => Vec::new(),
    };
    let pods = prune_pods(&containers, &mut errors)?;
    list("Pods", &pods);
    stopped.extend(prune_containers(&arguments.filter, &containers, &mut errors)?);
    list("Containers", &stopped);
    if arguments.volumes {
        list("Volumes", &prune_volumes(&arguments.filter, context)?);
    }
    let removed = images.prune(&prune)?;
    let deleted: Vec<String> = removed.deleted.iter().map(ToString::to_string).collect();
    list("Images", &deleted);
    list("Networks", &prune_networks(&arguments.filter, &containers)?);
    let after = used(&images, &containers)?;
    let leftovers = images.store().prune(&PruneOptions::default())?;
    // With filters only what fits them is meant.
    let kept = match arguments.all && arguments.filter.is_empty() {
        true => images.store().delete_kept_blobs()?,
        false => 0,
    };
    text.extend(leftovers.removed.iter().map(|problem| format!("Removed: {problem}\n")));
    let freed = before.saturating_sub(after) + leftovers.bytes() + kept;
    text.push_str(&format!("Total reclaimed space: {}\n", human_size_with_precision(freed, 4)));
    output::bytes(text.as_bytes())?;
    Ok(finish(errors))
}

/// Removes what interrupted commands have left, and nothing else.
fn external(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    if arguments.all || arguments.volumes || arguments.build || !arguments.filter.is_empty() {
        bail!("system prune --external cannot be combined with other options");
    }
    let leftovers = context.images()?.store().prune(&PruneOptions::default())?;
    let lines: String =
        leftovers.removed.iter().map(|problem| format!("Removed: {problem}\n")).collect();
    output::bytes(lines.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// How many bytes there are of what may go.
fn used(images: &Images, containers: &Containers) -> Result<u64> {
    let (containers, volumes) = containers.disk_usage()?;
    let written: u64 = containers.iter().map(|usage| usage.written_bytes).sum();
    let volumes: u64 = volumes.iter().map(|usage| usage.size_bytes).sum();
    Ok(images.disk_usage()?.size_bytes + written + volumes)
}

/// Source: podman, `cmd/podman/system/prune.go`, `createPruneWarningMessage`.
fn question(arguments: &Arguments) -> String {
    let mut lines =
        vec!["all stopped containers", "all networks not used by at least one container"];
    if arguments.volumes {
        lines.push("all volumes not used by at least one container");
    }
    if arguments.build {
        lines.push("all build containers");
    }
    lines.push(match arguments.all {
        true => "all images without at least one container associated with them",
        false => "all dangling images",
    });
    lines.push("what interrupted commands have left");
    if arguments.all && arguments.filter.is_empty() {
        lines.push("the blobs that are kept to push images as they came");
    }
    let lines: String = lines.iter().map(|line| format!("\t- {line}\n")).collect();
    format!("WARNING! This command removes:\n{lines}\n")
}
