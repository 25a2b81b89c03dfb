//! `cellar container clone`

use std::process::ExitCode;

use anyhow::{Result, bail};
use cask_engine::{CloneOptions, RemoveOptions};
use cask_program::output;
use clap::Args;

use super::notify;
use super::options::AllLimitArguments;
use super::wanted::find_missing;
use crate::context::Context;

/// Make a container as another one was made
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The container
    container: String,
    /// The name of the copy [default: that of the container with -clone behind it]
    copy: Option<String>,
    /// The image of the copy [default: that of the container]
    image: Option<String>,
    /// Remove the container that was copied
    #[arg(long)]
    destroy: bool,
    /// With --destroy, remove it even where it runs
    #[arg(short, long)]
    force: bool,
    /// The name of the copy
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Start the copy
    #[arg(long)]
    run: bool,
    #[command(flatten)]
    limits: AllLimitArguments,
    /// Have the copy be in this pod
    #[arg(long, value_name = "POD")]
    pod: Option<String>,
}

/// Makes the copy, and prints its ID.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    if arguments.force && !arguments.destroy {
        bail!("cannot set --force without --destroy: invalid argument");
    }
    let mut options = CloneOptions::default();
    options.name = arguments.copy.clone().or(arguments.name.clone()).unwrap_or_default();
    arguments.limits.resolve(&mut options.resources)?;
    let containers = context.containers()?;
    let container = containers.find(&arguments.container)?;
    if let Some(pod) = arguments.pod.as_deref().filter(|pod| !pod.is_empty()) {
        options.pod = Some(containers.pods().find(pod)?);
    }
    let image =
        arguments.image.as_deref().map(|name| find_missing(name, containers.images(), context));
    let image = image.transpose()?;
    let made = containers.clone_container(&container, image.as_ref(), &options)?;
    if arguments.destroy {
        let mut how = RemoveOptions::default();
        how.force = arguments.force;
        containers.remove(&container, &how)?;
    }
    if arguments.run {
        containers.start_with(&made, &notify::options(false, None))?;
        notify::started(&containers, &made)?;
    }
    output::line(made.id())?;
    Ok(ExitCode::SUCCESS)
}
