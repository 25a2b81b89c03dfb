//! `cellar wait`

use std::process::ExitCode;

use anyhow::Result;
use cask_program::output;
use clap::Args;

use super::several::{Meant, Which, finish};
use crate::context::Context;

/// Wait until containers have ended, and print their exit codes
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// For the sake of podman's users; nothing: the end is heard at once
    #[arg(long, hide = true, value_name = "DURATION")]
    interval: Option<String>,
}

/// Waits.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let containers = context.containers()?;
    let mut errors = Vec::new();
    for Meant { container, .. } in arguments.which.find(&containers, &mut errors)? {
        match containers.wait(&container) {
            Ok(code) => output::line(&code.to_string())?,
            Err(error) => errors.push(error.into()),
        }
    }
    Ok(finish(errors))
}
