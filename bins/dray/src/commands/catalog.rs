//! `dray catalog`

use anyhow::Result;
use cask_program::access::OneArguments;
use cask_program::{registries, registry};
use clap::Args;

use crate::context::Context;

/// List the repositories of a registry, one on each line
///
/// Large registries do not tell: Docker Hub, GHCR and Quay refuse.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The registry, as HOST[:PORT]
    registry: String,
    #[command(flatten)]
    access: OneArguments,
}

/// Lists.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<()> {
    let host = arguments.registry.trim_start_matches("docker://").trim_end_matches('/');
    registries::read(&context.settings)?.check_not_blocked(host)?;
    let access = arguments.access.resolve(&context.settings).await?;
    let mut names = registry::docker(&access, &context.settings).client.registry(host).catalog();
    while let Some(name) = names.next().await? {
        cask_program::output::line(&name)?;
    }
    Ok(())
}
