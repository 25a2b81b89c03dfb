//! `cellar build`, and `cellar buildx`, as Docker's users call it.

use std::process::ExitCode;

use anyhow::Result;
use cask_program::build;
use cask_program::command_line::WhenNamed;
use clap::Subcommand;

use super::prune;
use crate::context::Context;

/// Build images
#[derive(Debug, Subcommand)]
pub(crate) enum BuildxCommand {
    Build(Box<WhenNamed<build::Arguments>>),
    Prune(WhenNamed<prune::Arguments>),
}

/// Does it.
pub(crate) fn run(command: BuildxCommand, context: &Context) -> Result<ExitCode> {
    match command {
        BuildxCommand::Build(arguments) => build(arguments.0, context),
        BuildxCommand::Prune(arguments) => {
            prune::run(&arguments, context).map(|()| ExitCode::SUCCESS)
        }
    }
}

/// Builds.
pub(crate) fn build(arguments: build::Arguments, context: &Context) -> Result<ExitCode> {
    let global = &context.global;
    let arguments = arguments.squashing_new_layers();
    let arguments = arguments.with_runtime(global.runtime.clone());
    let arguments = arguments.with_runtime_flags(&global.runtime_flag);
    let arguments = arguments.with_hooks_in(&global.hooks_dir);
    let arguments = arguments.with_cdi_devices_in(&global.cdi_spec_dir);
    let arguments = arguments.with_default_mounts_in(global.default_mounts_file.clone());
    build::run(arguments, &context.settings)
}
