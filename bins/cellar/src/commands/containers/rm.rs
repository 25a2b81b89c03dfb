//! `cellar rm`

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use anyhow::{Result, bail};
use cask_engine::{Container, Containers, ErrorKind, RemoveOptions};
use cask_program::{output, report};
use clap::Args;

use super::inspect;
use super::several::{Meant, Which};
use super::stop;
use crate::context::Context;

/// Remove containers
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// End those that run first; do not fail where there is no such container
    #[arg(short, long)]
    force: bool,
    /// Containers that fit, such as status=exited or label=KEY=VALUE
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Seconds from the request to end to the end, with --force; -1 is as many as it takes
    #[arg(short, long, alias = "timeout", value_name = "SECONDS", value_parser = stop::seconds, allow_negative_numbers = true)]
    time: Option<u32>,
    /// Remove first those that cannot do without them
    #[arg(long)]
    depend: bool,
    /// Remove the volumes too that were made for them
    #[arg(short, long)]
    volumes: bool,
}

/// Removes them: 1 where a container is not known, 2 where one is in use, 125 otherwise.
///
/// Source: podman, `cmd/podman/containers/rm.go`, `setExitCode`.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    if arguments.time.is_some() && !arguments.force {
        bail!("--force option must be specified to use the --time option");
    }
    let containers = context.containers()?;
    let mut options = RemoveOptions::default();
    options.force = arguments.force;
    options.volumes = arguments.volumes;
    options.timeout = arguments.time;
    let mut which = arguments.which.clone();
    which.filter.clone_from(&arguments.filter);
    which.check()?;
    let mut errors = Vec::new();
    let named = !which.containers.is_empty();
    which.containers.retain(|word| match remove_external(&containers, word, arguments.force) {
        Ok(is_external) => !is_external,
        Err(error) => {
            errors.push(error);
            false
        }
    });
    which.ignore |= arguments.force;
    let meant = match named && which.containers.is_empty() {
        true => Vec::new(),
        false => which.find(&containers, &mut errors)?,
    };
    let mut users = Users::of(&containers, arguments.depend, &meant)?;
    for Meant { word, container } in meant {
        for first in users.before(&container) {
            match containers.remove(&first, &options) {
                Ok(()) if arguments.depend => output::line(first.id())?,
                Ok(()) => {}
                Err(error) => errors.push(error.into()),
            }
        }
        if container.config.pod.infra && (arguments.which.all || arguments.depend) {
            match remove_pod(&containers, &container, &options) {
                Ok(()) => output::line(&word)?,
                Err(error) if which.forgives(&error) => {}
                Err(error) => errors.push(error),
            }
            continue;
        }
        if let Some(error) = users.keep(&container).filter(|_| !container.config.pod.infra) {
            errors.push(error);
            continue;
        }
        match containers.remove(&container, &options).map_err(anyhow::Error::from) {
            Ok(()) => output::line(&word)?,
            Err(error) if which.forgives(&error) => {}
            Err(error) => errors.push(error),
        }
    }
    let mut kinds = Vec::new();
    for error in errors {
        let kind = error.downcast_ref::<cask_engine::Error>().map(cask_engine::Error::kind);
        let found = match kind {
            // One that cannot be read can be removed all the same.
            Some(ErrorKind::Storage) if arguments.force => {
                remove_unread(arguments, |name| containers.remove_damaged(name))
            }
            _ => Vec::new(),
        };
        if found.is_empty() {
            kinds.push(kind);
            report::engine_failure(&error, crate::run::hint);
        }
        for name in found {
            output::line(&name)?;
        }
    }
    let unknown = |kind: &Option<ErrorKind>| *kind == Some(ErrorKind::ContainerNotKnown);
    Ok(ExitCode::from(match kinds.as_slice() {
        [] => 0,
        kinds if kinds.iter().all(unknown) => 1,
        kinds if kinds.contains(&Some(ErrorKind::StateImproper)) => 2,
        _ => 125,
    }))
}

/// Removes a pod by its infra container.
fn remove_pod(containers: &Containers, infra: &Container, options: &RemoveOptions) -> Result<()> {
    match containers.pods().find(&infra.config.pod.id) {
        Ok(pod) => Ok(containers.pods().remove(&pod, options)?),
        // Its maker was killed.
        Err(error) if error.kind() == ErrorKind::PodNotKnown => {
            Ok(containers.remove(infra, options)?)
        }
        Err(error) => Err(error.into()),
    }
}

/// Removes what only another program knows, and says so; `false` where it is something else.
fn remove_external(containers: &Containers, word: &str, force: bool) -> Result<bool> {
    let is_unknown = |kind| kind == ErrorKind::ContainerNotKnown;
    match containers.find(word) {
        Err(error) if is_unknown(error.kind()) => {}
        _ => return Ok(false),
    }
    match containers.remove_external(word, force) {
        Ok(_) => output::line(word).map(|()| true),
        Err(error) if is_unknown(error.kind()) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Which containers cannot do without which.
struct Users {
    /// Those that some other one needs, with those.
    of: BTreeMap<String, Vec<Container>>,
    /// Those that may be removed before another: all of them, or those that were named too.
    may_go: Option<BTreeSet<String>>,
}

impl Users {
    fn of(containers: &Containers, depend: bool, meant: &[Meant]) -> Result<Self> {
        let mut of: BTreeMap<String, Vec<Container>> = BTreeMap::new();
        for user in containers.all(|_| ())? {
            for id in inspect::dependencies(&user.config) {
                of.entry(id).or_default().push(user.clone());
            }
        }
        let ids = || meant.iter().map(|one| one.container.id().to_owned()).collect();
        Ok(Self { of, may_go: (!depend).then(ids) })
    }

    /// Those that go before a container, in their order; each of them once.
    fn before(&mut self, container: &Container) -> Vec<Container> {
        let mut first = Vec::new();
        for user in self.of.get(container.id()).cloned().unwrap_or_default() {
            if self.may_go.as_ref().is_some_and(|may| !may.contains(user.id())) {
                continue;
            }
            first.extend(self.before(&user));
            first.push(user.clone());
            self.of.values_mut().for_each(|users| users.retain(|one| one.id() != user.id()));
        }
        first
    }

    /// Why a container cannot go. The words are podman's.
    fn keep(&self, container: &Container) -> Option<anyhow::Error> {
        let users = self.of.get(container.id()).filter(|users| !users.is_empty())?;
        let ids: Vec<&str> = users.iter().map(Container::id).collect();
        Some(anyhow::anyhow!(
            "container {} has dependent containers which must be removed before it: {}: container already exists",
            container.id(),
            ids.join(",")
        ))
    }
}

/// Tries every name that was given; gives those that it could remove.
fn remove_unread(
    arguments: &Arguments,
    remove: impl Fn(&str) -> cask_engine::Result<String>,
) -> Vec<String> {
    let names = &arguments.which.containers;
    names.iter().filter(|name| remove(name).is_ok()).cloned().collect()
}
