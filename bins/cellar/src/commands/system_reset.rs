//! `cellar system reset`

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use cask_engine::Containers;
use cask_program::{output, report, rootless, storage};
use cask_storage::StoreOptions;
use clap::Args;

use crate::context::Context;
use crate::run::hint;

/// Remove all containers, images, volumes and networks, and the store itself
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

/// What the user says to the question.
enum Answer {
    Yes,
    No,
    /// Nothing: there is nobody to ask.
    Nothing,
}

/// Removes everything.
///
/// Source: podman, `cmd/podman/system/reset.go`.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let options = context.global.store.options()?;
    options.check_reset(&precious())?;
    let containers = context.containers();
    let external = containers.as_ref().ok().and_then(|containers| containers.external().ok());
    let external = external.unwrap_or_default();
    let external: Vec<String> =
        external.iter().map(|one| format!("{:.12} ({})", one.id, one.name)).collect();
    if !arguments.force {
        match ask(&warning(&options, &external))? {
            Answer::Yes => {}
            Answer::No => return Ok(ExitCode::SUCCESS),
            Answer::Nothing => {
                report::engine_usage("EOF");
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    let left = match containers {
        Ok(containers) => {
            let failed = |error: cask_engine::Error| report::engine_failure(&error.into(), hint);
            match owns_networks(context, &containers) {
                true => containers.reset(failed)?,
                false => containers.reset_beside_networks(failed)?,
            }
        }
        // A store that cannot be opened goes like every other.
        Err(error) => {
            report::note(&format!("{error:#}"));
            options.reset()?
        }
    };
    for path in &left.foreign {
        report::note(&format!("{} is no part of a store, and stays", path.display()));
    }
    if let Some(path) = storage::configuration() {
        output::line(&format!("A storage.conf file exists at {}", path.display()))?;
        output::line("You should remove this file if you did not modify the configuration.")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether networks are of no other store: the machine has one directory of them for the stores of all `--root`s.
fn owns_networks(context: &Context, containers: &Containers) -> bool {
    let store = &context.global.store;
    let in_store = store
        .options()
        .is_ok_and(|options| containers.networks().places().config.starts_with(options.graph_root));
    in_store || !store.is_elsewhere() || context.global.network_config_dir.is_some()
}

/// Where much is that is not the store's.
fn precious() -> Vec<PathBuf> {
    let named = ["HOME", "XDG_RUNTIME_DIR"].into_iter().filter_map(std::env::var_os);
    let mut all: Vec<PathBuf> = named.map(PathBuf::from).filter(|it| it.is_absolute()).collect();
    all.extend(
        rootless::caller()
            .map(|caller| PathBuf::from(caller.home))
            .filter(|home| home.as_os_str() != "/"),
    );
    all.extend(std::env::current_dir());
    all
}

fn warning(options: &StoreOptions, external: &[String]) -> String {
    let mut text = "WARNING! This will remove:\n".to_owned();
    for what in ["containers", "images", "networks", "build cache", "volumes", "secrets"] {
        text.push_str(&format!("        - all {what}\n"));
    }
    let roots = [("graphRoot", &options.graph_root), ("runRoot", &options.run_root)];
    let image_store = options.image_store.iter().map(|root| ("imageStore", root));
    for (name, root) in roots.into_iter().chain(image_store) {
        text.push_str(&format!("        - the store in the {name} directory: {:?}\n", root));
    }
    if !external.is_empty() {
        text.push_str("WARNING! The following external containers will be purged:\n");
        text.extend(external.iter().map(|one| format!("\t- {one}\n")));
    }
    text
}

fn ask(warning: &str) -> Result<Answer> {
    output::bytes(format!("{warning}Are you sure you want to continue? [y/N] ").as_bytes())?;
    std::io::stdout().flush()?;
    let mut answer = String::new();
    Ok(match std::io::stdin().lock().read_line(&mut answer)? {
        0 => Answer::Nothing,
        _ if answer.to_lowercase().starts_with('y') => Answer::Yes,
        _ => Answer::No,
    })
}
