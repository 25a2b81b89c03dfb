//! `cellar rmi`

use std::process::ExitCode;

use anyhow::{Result, bail};
use cask_engine::{Containers, ErrorKind, Found, Images, Removal, Removed};
use cask_program::{output, report};
use clap::Args;

use crate::context::Context;

/// Remove images from the store
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The images: a name takes that name away, and with the last one goes the image
    images: Vec<String>,
    /// Remove all images
    #[arg(short, long)]
    all: bool,
    /// Remove all names of an image whose ID is given, and the containers that use it
    #[arg(short, long)]
    force: bool,
    /// Do not fail where there is no such image
    #[arg(short, long)]
    ignore: bool,
    /// Leave images without a name that the removed ones were built on
    #[arg(long)]
    no_prune: bool,
}

/// Removes; as many as can be.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    if arguments.images.is_empty() && !arguments.all {
        bail!("image name or ID must be specified");
    }
    if !arguments.images.is_empty() && arguments.all {
        bail!("when using the --all switch, you may not pass any images names or IDs");
    }
    let images = context.images()?;
    // Images are removed where containers cannot be had, too.
    let containers = arguments.force.then(|| context.containers()).transpose()?;
    let mut removed = Removed::default();
    let mut errors = Vec::new();
    let mut names = arguments.images.clone();
    if arguments.all {
        let all = images.list(&[])?.into_iter().filter(|listed| !listed.image.is_read_only());
        names = all.map(|listed| listed.image.id.to_string()).collect();
    }
    // All are looked up before any goes: two names may be of one image.
    let mut wanted: Vec<Found> = Vec::new();
    for name in &names {
        match images.find(name) {
            Err(error) if is_expected(&error, arguments) => {}
            Err(error) => errors.push(error),
            Ok(found) => {
                let is_said =
                    |said: &Found| (&said.image.id, &said.name) == (&found.image.id, &found.name);
                if !wanted.iter().any(is_said) {
                    wanted.push(found);
                }
            }
        }
    }
    for found in wanted {
        match remove(&images, containers.as_ref(), found, arguments) {
            Ok(one) => {
                removed.untagged.extend(one.untagged);
                removed.deleted.extend(one.deleted);
            }
            Err(error) => errors.push(error),
        }
    }
    let untagged = removed.untagged.iter().map(|name| format!("Untagged: {name}\n"));
    let deleted = removed.deleted.iter().map(|id| format!("Deleted: {id}\n"));
    output::bytes(untagged.chain(deleted).collect::<String>().as_bytes())?;
    Ok(code(errors))
}

/// Whether an image may as well not be there.
fn is_expected(error: &cask_engine::Error, arguments: &Arguments) -> bool {
    // With --all, an image may go while it is looked up.
    error.kind() == ErrorKind::ImageNotKnown
        && (arguments.ignore || arguments.force || arguments.all)
}

fn remove(
    images: &Images,
    containers: Option<&Containers>,
    found: Found,
    arguments: &Arguments,
) -> cask_engine::Result<Removed> {
    let mut removal = Removal::default();
    removal.all_names = arguments.force || arguments.all;
    removal.containers = arguments.force;
    removal.keep_parents = arguments.no_prune;
    // It may have lost names meanwhile, or have gone with another one.
    let Some(image) = images.store().image(&found.image.id)? else {
        return Ok(Removed::default());
    };
    let found = Found { image, name: found.name };
    match containers {
        Some(containers) => containers.remove_image(&found, removal),
        None => images.remove(&found, removal),
    }
}

/// Reports the errors, and says how the program ends: 1 if an image was not known, 2 if one is in
/// use, 125 otherwise.
///
/// Source: podman, `cmd/podman/images/rm.go`; `pkg/domain/infra/abi/images.go`, `Remove`.
fn code(errors: Vec<cask_engine::Error>) -> ExitCode {
    let kinds: Vec<ErrorKind> = errors.iter().map(cask_engine::Error::kind).collect();
    let code = match kinds.as_slice() {
        [] => 0,
        kinds if kinds.iter().all(|kind| *kind == ErrorKind::ImageNotKnown) => 1,
        kinds if kinds.contains(&ErrorKind::InUse) => 2,
        _ => 125,
    };
    match <[_; 1]>::try_from(errors) {
        Ok([error]) => report::engine_failure(&error.into(), |_| None),
        Err(errors) if errors.is_empty() => {}
        Err(errors) => {
            let lines = errors.iter().map(|error| format!("\n\t* {}", report::whole(error)));
            let lines: String = lines.collect();
            report::engine_usage(&format!("{} errors occurred:{lines}", errors.len()));
        }
    }
    ExitCode::from(code)
}
