//! `cellar update`

use std::process::ExitCode;

use anyhow::{Result, bail};
use cask_engine::ContainerChange;
use cask_program::output;
use clap::Args;

use super::options::{AllLimitArguments, HealthArguments, variables};
use super::several;
use crate::context::Context;

/// Change a container: its limits and how it is checked, at once where it runs, and when it begins again
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The container
    container: Vec<String>,
    #[command(flatten)]
    limits: AllLimitArguments,
    /// Begin again when it has ended: no, always, on-failure[:N] or unless-stopped
    #[arg(long, value_name = "POLICY")]
    restart: Option<String>,
    /// Set a variable of the environment, from its next start on
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Take a variable out of the environment, from its next start on
    #[arg(long, value_name = "NAME")]
    unsetenv: Vec<String>,
    /// The container that was made last
    #[arg(short, long)]
    latest: bool,
    /// Set a limit of its processes, NAME=SOFT[:HARD], in place of all that it has, from its next start on
    #[arg(long, value_name = "LIMIT")]
    ulimit: Vec<String>,
    #[command(flatten)]
    health: HealthArguments,
}

/// Changes what is given, and prints the ID.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let name = match (arguments.container.as_slice(), arguments.latest) {
        ([], true) => None,
        ([name], false) => Some(name.as_str()),
        ([_, ..], true) => bail!("--latest and containers cannot be used together"),
        (names, _) => bail!("accepts 1 arg(s), received {}", names.len()),
    };
    let mut change = ContainerChange::default();
    arguments.limits.resolve(&mut change.resources)?;
    change.restart = arguments.restart.as_deref().map(str::parse).transpose()?;
    change.environment = variables(&arguments.env)?;
    change.unset_environment.clone_from(&arguments.unsetenv);
    change.limits = (!arguments.ulimit.is_empty()).then(|| arguments.ulimit.clone());
    change.health = arguments.health.change()?;
    let containers = context.containers()?;
    let container = several::one(&containers, name, arguments.latest)?;
    containers.update(&container, &change)?;
    output::line(container.id())?;
    Ok(ExitCode::SUCCESS)
}
