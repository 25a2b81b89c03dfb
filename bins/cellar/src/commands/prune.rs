//! `cellar image prune`

use std::io::Write as _;

use anyhow::{Result, bail};
use cask_engine::{Filter, Prune};
use cask_program::output;
use cask_program::refused::{Refused, RefusedFlag, RefusedFlags};
use clap::Args;

use crate::context::Context;
use crate::moment;

/// Remove images that nobody needs
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Remove all images that no container uses, not only those without a name
    #[arg(short, long)]
    all: bool,
    /// Remove images too that only working containers of builds use, and these
    #[arg(long)]
    external: bool,
    /// Remove only images that fit, such as label=KEY=VALUE or until=24h
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    refused: Refused<OfPrune>,
}

/// Flags that are not here.
pub(crate) struct OfPrune;

impl RefusedFlags for OfPrune {
    const FLAGS: &'static [RefusedFlag] =
        &[("build-cache", &["false"], "use cooper cache prune, which empties what builds keep")];
}

/// Removes.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    arguments.refused.check()?;
    let now = moment::now();
    let filters = arguments.filter.iter().map(|text| Filter::parse(text, now));
    let mut prune = Prune::default();
    prune.all = arguments.all;
    prune.external = arguments.external;
    prune.filters = filters.collect::<Result<_, _>>()?;
    if !arguments.force && !is_meant(question(arguments.all))? {
        return Ok(());
    }
    let removed = context.images()?.prune(&prune)?;
    let lines: String = removed.deleted.iter().map(|id| format!("{id}\n")).collect();
    output::bytes(lines.as_bytes())
}

fn question(all: bool) -> &'static str {
    match all {
        true => {
            "WARNING! This command removes all images without at least one container associated \
             with them.\n"
        }
        false => "WARNING! This command removes all dangling images.\n",
    }
}

/// Asks, after saying what would happen.
pub(crate) fn is_meant(warning: &str) -> Result<bool> {
    let question = format!("{warning}Are you sure you want to continue? [y/N] ");
    output::bytes(question.as_bytes())?;
    std::io::stdout().flush()?;
    let mut answer = String::new();
    if std::io::stdin().read_line(&mut answer)? == 0 {
        bail!("EOF");
    }
    Ok(answer.trim_start().to_lowercase().starts_with('y'))
}
