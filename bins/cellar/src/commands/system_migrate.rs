//! `cellar system migrate`

use std::process::ExitCode;

use anyhow::Result;
use cask_engine::Status;
use cask_program::refused::{Refused, RefusedFlag, RefusedFlags};
use cask_program::{output, report};
use clap::Args;

use super::containers::stop;
use crate::context::Context;

/// Stop all containers, so that what the machine now says of users and programs holds for the next ones
///
/// The records of containers never have to be changed. The user namespace of a user ends with what runs in it: the
/// next command reads /etc/subuid and /etc/subgid anew.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    refused: Refused<OfMigrate>,
}

/// What podman has besides.
#[derive(Clone, Debug)]
struct OfMigrate;

impl RefusedFlags for OfMigrate {
    const FLAGS: &'static [RefusedFlag] = &[
        ("new-runtime", &[""], "a container keeps its runtime: make it anew with --runtime"),
        ("migrate-db", &["false"], "there is no database"),
    ];
}

/// Stops them.
///
/// Source: podman, `libpod/runtime_migrate.go`.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    arguments.refused.check()?;
    let containers = context.containers()?;
    let all = containers.all(|damaged| report::note(&format!("{damaged}")))?;
    for container in all.iter().filter(|one| one.state.status == Status::Running) {
        output::line(&format!("stopped {}", container.id()))?;
        stop::stop(&containers, container, None)?;
    }
    Ok(ExitCode::SUCCESS)
}
