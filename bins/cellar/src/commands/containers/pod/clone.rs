//! `cellar pod clone`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use cask_engine::{PodCloneOptions, RemoveOptions};
use cask_program::output;
use clap::Args;

use super::super::options::{AllLimitArguments, labels};
use super::several::finish;
use super::told;
use crate::context::Context;

/// Make a pod, with its containers, as another one was made
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The pod
    pod: String,
    /// The name of the copy [default: that of the pod with -clone behind it]
    copy: Option<String>,
    /// The name of the copy
    #[arg(short, long, value_name = "NAME")]
    name: Option<String>,
    /// Remove the pod that was copied, and end its containers
    #[arg(long)]
    destroy: bool,
    /// Start the copy
    #[arg(long)]
    start: bool,
    /// Set a label besides those of the pod
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    label: Vec<String>,
    /// Read labels from this file, one on each line
    #[arg(long, value_name = "FILE")]
    label_file: Vec<PathBuf>,
    /// The host name that its containers see
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    #[command(flatten)]
    limits: AllLimitArguments,
}

/// Makes the copy, and prints its ID.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let containers = context.containers()?;
    let pods = containers.pods();
    let pod = pods.find(&arguments.pod)?;
    let mut options = PodCloneOptions::default();
    options.name = match (&arguments.copy, &arguments.name) {
        (Some(_), Some(_)) => bail!("cannot specify --name and NAME at the same time"),
        (one, other) => one.as_ref().or(other.as_ref()).cloned().unwrap_or_default(),
    };
    options.create_command = std::env::args().collect();
    options.labels = labels(&arguments.label_file, &arguments.label)?;
    options.hostname.clone_from(&arguments.hostname);
    arguments.limits.resolve(&mut options.resources)?;
    let made = pods.clone_pod(&pod, &options)?;
    if arguments.destroy {
        let mut how = RemoveOptions::default();
        how.force = true;
        pods.remove(&pod, &how)?;
    }
    let mut errors = Vec::new();
    if arguments.start {
        errors.extend(told("starting", pods.start(&made)?));
    }
    output::line(made.id())?;
    Ok(finish(errors))
}
