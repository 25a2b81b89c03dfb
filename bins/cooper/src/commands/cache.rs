//! `cooper cache`

use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};
use cask_build::{Cache, CacheEntry, CacheEntryKind, CachePrune};
use cask_program::duration::GoDuration;
use cask_program::output;
use cask_terminal::table::{Layout, Table, ago, short_id, spaced_size};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use crate::context::Context;

/// See and delete what is kept for later builds
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(name = "ls", visible_alias = "list")]
    List(ListArguments),
    Du(UsageArguments),
    Prune(PruneArguments),
}

/// List the steps and cache mounts that are kept
#[derive(Args, Debug)]
pub(crate) struct ListArguments {
    /// Only these
    #[arg(long, value_enum, value_name = "KIND")]
    kind: Option<Kind>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print nothing but IDs, in full
    #[arg(short, long)]
    quiet: bool,
    /// Cut nothing off
    #[arg(long)]
    no_trunc: bool,
}

/// Say how much is kept
#[derive(Args, Debug)]
pub(crate) struct UsageArguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Delete what is kept
#[derive(Args, Debug)]
pub(crate) struct PruneArguments {
    /// Delete only these, by the beginning of their IDs
    id: Vec<String>,
    /// Delete everything
    #[arg(short, long)]
    all: bool,
    /// Delete only what was not used for so long, such as 72h
    #[arg(long, value_name = "DURATION")]
    older_than: Option<GoDuration>,
    /// Keep as much as this of what was used last, such as 5g
    #[arg(long, value_name = "SIZE")]
    keep_storage: Option<String>,
    /// Only these
    #[arg(long, value_enum, value_name = "KIND")]
    kind: Option<Kind>,
}

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Results of steps
    Step,
    /// Cache mounts
    Mount,
}

impl Kind {
    fn entry(self) -> CacheEntryKind {
        match self {
            Self::Step => CacheEntryKind::Step,
            Self::Mount => CacheEntryKind::Mount,
        }
    }
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    kind: &'static str,
    size: u64,
    #[serde(rename = "lastUsed")]
    last_used_seconds: u64,
    #[serde(rename = "durationSeconds")]
    duration_seconds: f64,
    #[serde(rename = "inUse")]
    in_use: bool,
    description: &'a str,
}

#[derive(Serialize)]
struct Usage {
    kind: &'static str,
    count: usize,
    size: u64,
}

/// Carries a command out.
pub(crate) fn run(command: &Command, context: &Context) -> Result<()> {
    let store = context.store()?;
    let cache = Cache::new(cask_build::BuildTools::new(store)?.state_directory);
    match command {
        Command::List(arguments) => list(arguments, &cache),
        Command::Du(arguments) => usage(arguments, &cache),
        Command::Prune(arguments) => prune(arguments, &cache),
    }
}

fn kind(entry: &CacheEntry) -> &'static str {
    match entry.kind {
        CacheEntryKind::Mount => "mount",
        _ => "step",
    }
}

fn row(entry: &CacheEntry) -> Row<'_> {
    let since = entry.last_used.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Row {
        id: &entry.id,
        kind: kind(entry),
        size: entry.size_bytes,
        last_used_seconds: since.as_secs(),
        duration_seconds: entry.duration.as_secs_f64(),
        in_use: entry.in_use,
        description: &entry.description,
    }
}

fn list(arguments: &ListArguments, cache: &Cache) -> Result<()> {
    let mut entries = cache.entries()?;
    entries.retain(|entry| arguments.kind.is_none_or(|kind| kind.entry() == entry.kind));
    if arguments.json {
        return output::json(&entries.iter().map(row).collect::<Vec<_>>());
    }
    if arguments.quiet {
        let ids: String = entries.iter().map(|entry| format!("{}\n", entry.id)).collect();
        return output::bytes(ids.as_bytes());
    }
    let mut table = Table::new(["ID", "KIND", "SIZE", "USED", "WHAT"]);
    for entry in &entries {
        let id = if arguments.no_trunc { entry.id.as_str() } else { short_id(&entry.id) };
        let age = SystemTime::now().duration_since(entry.last_used).unwrap_or_default();
        let size = spaced_size(entry.size_bytes);
        let what = match arguments.no_trunc {
            true => entry.description.clone(),
            false => entry.description.chars().take(60).collect(),
        };
        table.row([id, kind(entry), &size, &ago(age), &what]);
    }
    output::bytes(table.render(Layout::PODMAN).as_bytes())
}

fn usage(arguments: &UsageArguments, cache: &Cache) -> Result<()> {
    let entries = cache.entries()?;
    let of = |wanted: CacheEntryKind, name: &'static str| {
        let all = entries.iter().filter(|entry| entry.kind == wanted);
        let sizes: Vec<u64> = all.map(|entry| entry.size_bytes).collect();
        Usage { kind: name, count: sizes.len(), size: sizes.iter().sum() }
    };
    let all = [of(CacheEntryKind::Step, "steps"), of(CacheEntryKind::Mount, "mounts")];
    if arguments.json {
        return output::json(&all);
    }
    let mut table = Table::new(["KIND", "COUNT", "SIZE"]);
    for usage in &all {
        table.row([usage.kind, &usage.count.to_string(), &spaced_size(usage.size)]);
    }
    output::bytes(table.render(Layout::PODMAN).as_bytes())
}

fn prune(arguments: &PruneArguments, cache: &Cache) -> Result<()> {
    let says = !arguments.id.is_empty()
        || arguments.older_than.is_some()
        || arguments.keep_storage.is_some()
        || arguments.kind.is_some();
    if says == arguments.all {
        bail!("say what to delete: IDs, --older-than, --keep-storage, --kind, or --all alone");
    }
    let mut options = CachePrune::default();
    options.ids.clone_from(&arguments.id);
    options.kind = arguments.kind.map(Kind::entry);
    if let Some(GoDuration(age)) = arguments.older_than {
        let since = SystemTime::now().checked_sub(age);
        options.not_used_since = Some(since.context("--older-than is longer than time")?);
    }
    if let Some(size) = &arguments.keep_storage {
        options.keep_bytes = Some(cask_program::build::size(size).context("--keep-storage")?);
    }
    let pruned = cache.prune(&options)?;
    for entry in &pruned.entries {
        output::line(&format!("Deleted {}: {}", kind(entry), entry.id))?;
    }
    output::line(&format!("Total reclaimed space: {}", spaced_size(pruned.freed_bytes)))
}
