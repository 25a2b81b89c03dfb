//! `cooper rename`

use anyhow::{Context as _, Result};
use clap::Args;

use crate::context::Context;

/// Give a working container another name
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The container
    container: String,
    /// Its new name
    name: String,
}

/// Renames.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let containers = context.containers()?;
    let wanted = &arguments.container;
    let mut container =
        containers.find(wanted).with_context(|| format!("reading build container {wanted:?}"))?;
    Ok(containers.rename(&mut container, &arguments.name)?)
}
