//! `cellar system check`

use std::process::ExitCode;

use anyhow::Result;
use cask_program::{output, report};
use cask_storage::{CheckOptions, Problem};
use clap::Args;

use crate::context::Context;

/// Look for what is wrong with the store, and for what lies in it that nobody needs
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Do not read the files of images
    #[arg(short, long)]
    quick: bool,
    /// Remove images that are broken beyond use, and what nobody needs
    #[arg(short, long)]
    repair: bool,
    /// With --repair, remove only what nobody has needed for so long
    #[arg(short, long, value_name = "DURATION", default_value = "24h")]
    max: cask_program::duration::GoDuration,
}

/// Looks; 125 if something is broken.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let images = context.images()?;
    let store = images.store();
    let mut options = CheckOptions::default();
    options.verify_data = !arguments.quick;
    let problems = store.check(&options)?;
    let (waste, broken): (Vec<_>, Vec<_>) =
        problems.iter().partition(|problem: &&Problem| problem.kind.is_waste());
    for problem in &broken {
        output::line(&problem.to_string())?;
    }
    for problem in &waste {
        report::note(&format!("{problem} ({} bytes)", problem.bytes));
    }
    if !arguments.repair {
        return Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(125) });
    }
    for mended in store.repair()? {
        output::line(&format!("Mended: {mended}"))?;
    }
    for id in store.remove_broken_images()?.images {
        output::line(&format!("Deleted image: {id}"))?;
    }
    let mut prune = cask_storage::PruneOptions::default();
    prune.older_than = arguments.max.0;
    for problem in store.prune(&prune)?.removed {
        output::line(&format!("Removed: {problem}"))?;
    }
    let left = store.check(&options)?;
    let is_whole = left.iter().all(|problem| problem.kind.is_waste());
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::from(125) })
}
