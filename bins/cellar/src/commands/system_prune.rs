//! `cellar system prune`

use anyhow::Result;
use cask_engine::{Filter, Prune};
use cask_program::output;
use cask_storage::PruneOptions;
use cask_terminal::table::human_size_with_precision;
use clap::Args;

use crate::commands::prune::is_meant;
use crate::context::Context;
use crate::moment;

/// Remove images that nobody needs, and what interrupted commands have left in the store
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Remove all images that no container uses, not only those without a name
    #[arg(short, long)]
    all: bool,
    /// Remove only images that fit, such as label=KEY=VALUE or until=24h
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

/// Removes.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let now = moment::now();
    let filters = arguments.filter.iter().map(|text| Filter::parse(text, now));
    let mut prune = Prune::default();
    prune.all = arguments.all;
    prune.filters = filters.collect::<Result<_, _>>()?;
    if !arguments.force && !is_meant(question(arguments.all))? {
        return Ok(());
    }
    let images = context.images()?;
    let before = images.disk_usage()?.size_bytes;
    let removed = images.prune(&prune)?;
    let after = images.disk_usage()?.size_bytes;
    let leftovers = images.store().prune(&PruneOptions::default())?;
    // With filters only what fits them is meant.
    let kept = match arguments.all && arguments.filter.is_empty() {
        true => images.store().delete_kept_blobs()?,
        false => 0,
    };
    let mut text = String::new();
    if !removed.deleted.is_empty() {
        text.push_str("Deleted Images\n");
        text.extend(removed.deleted.iter().map(|id| format!("{id}\n")));
    }
    text.extend(leftovers.removed.iter().map(|problem| format!("Removed: {problem}\n")));
    let freed = before.saturating_sub(after) + leftovers.bytes() + kept;
    text.push_str(&format!("Total reclaimed space: {}\n", human_size_with_precision(freed, 4)));
    output::bytes(text.as_bytes())
}

fn question(all: bool) -> &'static str {
    match all {
        true => {
            "WARNING! This command removes:\n\t- all images without at least one container \
             associated with them\n\t- what interrupted commands have left\n\t- the blobs \
             that are kept to push images as they came\n"
        }
        false => {
            "WARNING! This command removes:\n\t- all dangling images\n\t- what interrupted \
             commands have left\n"
        }
    }
}
