//! `cellar init`

use std::process::ExitCode;

use anyhow::Result;
use cask_engine::ErrorKind;
use clap::Args;

use super::notify;
use super::several::{Which, each};
use crate::context::Context;

/// Make everything that containers need, up to their first processes, which wait for start
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The containers: names, IDs, or beginnings of IDs
    containers: Vec<String>,
    /// All containers that do not run
    #[arg(short, long)]
    all: bool,
    /// The container that was made last
    #[arg(short, long)]
    latest: bool,
}

/// Prepares them.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let Arguments { containers, all, latest } = arguments;
    let which =
        Which { containers: containers.clone(), all: *all, latest: *latest, ..Which::default() };
    each(&which, context, |containers, container| {
        match containers.prepare(container, &notify::options(false, None)) {
            // Of all, those that run are named too, as podman names them.
            Err(error) if *all && error.kind() == ErrorKind::StateImproper => Ok(true),
            prepared => Ok(prepared.map(|()| true)?),
        }
    })
}
