//! `cellar start`

use std::process::ExitCode;

use anyhow::{Result, bail};
use cask_engine::Status;
use clap::Args;

use super::relay::{self, Ends, relay as relay_to};
use super::several::{self, Which, each_found};
use super::{ended, notify};
use crate::context::Context;

/// Start containers
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The containers: names, IDs, or beginnings of IDs
    containers: Vec<String>,
    /// Be attached to it until it has ended
    #[arg(short, long)]
    attach: bool,
    /// Pass input on to it
    #[arg(short, long)]
    interactive: bool,
    /// All containers that do not run
    #[arg(long)]
    all: bool,
    /// The container that was made last
    #[arg(short, long)]
    latest: bool,
    /// Containers that fit, such as status=exited or label=KEY=VALUE
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// The keys that leave it running
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Pass signals on to it
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    sig_proxy: Option<bool>,
}

impl Arguments {
    /// Refuses what does not go together. The words are podman's.
    fn check(&self) -> Result<()> {
        let named = !self.containers.is_empty();
        if !named && !self.all && !self.latest && self.filter.is_empty() {
            bail!("start requires at least one argument");
        }
        if self.all && self.latest {
            bail!("--all and --latest cannot be used together");
        }
        if named && self.latest {
            bail!("--latest and containers cannot be used together");
        }
        if named && self.all {
            bail!("either start all containers or the container(s) provided in the arguments");
        }
        if self.attach && self.all {
            bail!("you cannot start and attach all containers at once");
        }
        if (self.attach || self.interactive) && self.containers.len() > 1 {
            bail!("you cannot start and attach multiple containers at once");
        }
        if self.sig_proxy == Some(true) && !self.attach {
            bail!("you cannot use sig-proxy without --attach: invalid argument");
        }
        Ok(())
    }
}

/// Starts them.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let which = Which {
        containers: arguments.containers.clone(),
        all: arguments.all,
        latest: arguments.latest,
        filter: arguments.filter.clone(),
        ..Which::default()
    };
    arguments.check()?;
    // Without --attach, --interactive is taken as podman takes it: nobody is there who would type.
    if !arguments.attach {
        return each_found(&which, context, |containers, container| {
            // Only what this starts is named.
            if container.state.status == Status::Running {
                return Ok(false);
            }
            containers.start_with(container, &notify::options(false, None))?;
            notify::started(containers, container)?;
            Ok(true)
        });
    }
    let containers = context.containers()?;
    let name = arguments.containers.first().map(String::as_str);
    let container = several::one(&containers, name, arguments.latest)?;
    let keys = relay::detach_keys(arguments.detach_keys.as_deref())?;
    let how = notify::options(true, relay::size());
    let attached = match containers.start_with(&container, &how) {
        Err(error) => return Ok(ended::not_started(error)),
        Ok(Some(attached)) => {
            notify::started(&containers, &container)?;
            attached
        }
        Ok(None) => containers.attach(&containers.reload(&container)?)?,
    };
    let ends = Ends {
        input: arguments.interactive
            && container.config.process.interactive
            && !container.passes_through(),
        output: true,
        error: true,
        signals: arguments.sig_proxy.unwrap_or(true),
    };
    super::run::finish(&containers, &container, relay_to(&attached, ends, keys)?)
}
