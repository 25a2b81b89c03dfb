//! `cellar attach`

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

use super::relay::{self, Ends, relay as relay_to};
use super::several;
use crate::context::Context;

/// Be attached to a container that runs
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The container
    container: Option<String>,
    /// The container that was made last
    #[arg(short, long)]
    latest: bool,
    /// The keys that leave it running
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Pass no input on to it
    #[arg(long)]
    no_stdin: bool,
    /// Pass signals on to it
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    sig_proxy: Option<bool>,
}

/// Attaches.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let keys = relay::detach_keys(arguments.detach_keys.as_deref())?;
    let containers = context.containers()?;
    if arguments.container.is_none() && !arguments.latest {
        bail!("\"cellar attach\" requires a name, id, or the \"--latest\" flag");
    }
    let container = several::one(&containers, arguments.container.as_deref(), arguments.latest)?;
    let attached = containers.attach(&container)?;
    let ends = Ends {
        input: !arguments.no_stdin && container.config.process.interactive,
        output: true,
        error: true,
        signals: arguments.sig_proxy.unwrap_or(true),
    };
    super::run::finish(&containers, &container, relay_to(&attached, ends, keys)?)
}
