//! `cellar unshare`

use std::process::ExitCode;

use anyhow::Result;
use cask_program::rootless;
use clap::Args;

use crate::context::Context;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Run it in the network namespace that networks of this user have their bridges in
    #[arg(long)]
    rootless_netns: bool,
    #[command(flatten)]
    unshare: rootless::UnshareArguments,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    if !arguments.rootless_netns {
        return rootless::unshare(&arguments.unshare);
    }
    rootless::for_users()?;
    let mut command = arguments.unshare.command();
    Ok(context.containers()?.where_bridges_are(|| rootless::finished(&mut command))?)
}
