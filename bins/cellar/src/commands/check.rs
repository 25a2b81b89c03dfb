//! `cellar system check`

use std::process::ExitCode;

use anyhow::Result;
use cask_program::{output, report};
use cask_storage::{CheckOptions, Id, Problem, ProblemKind, Store};
use clap::Args;

use crate::context::Context;

/// Look for what is wrong with the store, and for what lies in it that nobody needs
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Do not read the files of images and layers
    #[arg(short, long)]
    quick: bool,
    /// Mend what can be mended; remove images that are broken beyond use, and what nobody needs
    #[arg(short, long)]
    repair: bool,
    /// With --repair, remove containers too that are broken or whose images are
    #[arg(short, long)]
    force: bool,
    /// With --repair, remove only what nobody has needed for so long
    #[arg(short, long, value_name = "DURATION", default_value = "24h")]
    max: cask_program::duration::GoDuration,
}

/// Looks; 125 if something is broken.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let images = context.images()?;
    let store = images.store();
    let mut options = CheckOptions::default();
    (options.verify_data, options.verify_layers) = (!arguments.quick, !arguments.quick);
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
    let mended = store.repair()?;
    for mended in &mended {
        output::line(&format!("Mended: {mended}"))?;
    }
    remove_broken(store, &store.check(&options)?, arguments.force)?;
    let is_of_containers =
        |mended: &cask_storage::Warning| mended.path.to_string_lossy().ends_with("containers.json");
    if mended.iter().any(is_of_containers) {
        report::note(
            "nothing is removed this time: see whether all containers are there, and repair again",
        );
    } else {
        let mut prune = cask_storage::PruneOptions::default();
        prune.older_than = arguments.max.0;
        for problem in store.prune(&prune)?.removed {
            output::line(&format!("Removed: {problem}"))?;
        }
    }
    let left = store.check(&options)?;
    let is_whole = left.iter().all(|problem| problem.kind.is_waste());
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::from(125) })
}

/// Removes images that are broken beyond use; with `force` also containers that are, or are made of those.
fn remove_broken(store: &Store, problems: &[Problem], force: bool) -> Result<()> {
    let remove = |id: &Id| -> Result<()> {
        store.delete_container(id)?;
        output::line(&format!("Deleted container: {id}"))
    };
    let broken = problems.iter().filter(|it| it.kind == ProblemKind::ContainerWithoutLayer);
    for id in broken.filter(|_| force).filter_map(|problem| problem.id.as_ref()) {
        remove(id)?;
    }
    for image in store.broken_images(problems)?.iter().filter(|image| !image.is_read_only()) {
        let users = store.containers_of_image(&image.id)?;
        match users.first() {
            Some(user) if !force => {
                let (image, user) = (image.id.short(), user.id.short());
                report::note(&format!(
                    "image {image} is broken and stays: container {user} is made of it; --force removes both"
                ));
                continue;
            }
            _ => users.iter().try_for_each(|user| remove(&user.id))?,
        }
        store.delete_image(&image.id)?;
        output::line(&format!("Deleted image: {}", image.id))?;
    }
    Ok(())
}
