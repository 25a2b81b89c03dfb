//! Names of what is there.

use anyhow::{Context as _, Result};
use cask_engine::{Container, Status, StoredArtifacts};
use clap::{ArgMatches, Args as _, Command, FromArgMatches as _};

use super::line::{Kind, State};
use super::{Candidates, Directive};
use crate::cli::GlobalArguments;
use crate::context::Context;

/// Modes of a network that are no networks.
const MODES: [&str; 6] = ["bridge", "container:", "host", "none", "ns:", "pasta"];
/// So many digits of an ID are shown.
const SHORT: usize = 12;

/// The names of a kind that begin so, where these flags say which store it is.
pub(super) fn named(kind: Kind, start: &str, global: &[String]) -> Result<(Candidates, Directive)> {
    let parser = GlobalArguments::augment_args(Command::new("cellar").no_binary_name(true));
    let matches: ArgMatches = parser.try_get_matches_from(global)?;
    let context = Context::new(GlobalArguments::from_arg_matches(&matches)?);
    let mut found = match kind {
        Kind::Containers(state) => containers(state, start, &context)?,
        Kind::ContainerPaths => {
            // Behind a colon is a path in the container.
            if start.contains(['/', '.']) {
                return Ok((Vec::new(), Directive::Default));
            }
            let mut found = containers(State::Any, start, &context)?;
            found.iter_mut().for_each(|(name, _)| name.push(':'));
            let directive = if found.is_empty() { Directive::Default } else { Directive::NoSpace };
            return Ok((found, directive));
        }
        Kind::Images => images(start, &context)?,
        Kind::ContainersAndImages => {
            let mut both = containers(State::Any, start, &context)?;
            both.extend(images(start, &context)?);
            both
        }
        Kind::Networks => networks(start, &context)?,
        Kind::NetworkModes => {
            let modes = MODES.iter().filter(|mode| mode.starts_with(start));
            let mut found: Candidates =
                modes.map(|mode| ((*mode).to_owned(), String::new())).collect();
            found.extend(networks(start, &context)?);
            found
        }
        Kind::Volumes => {
            let all = context.containers()?.volumes().list()?.into_iter();
            let fitting = all.filter(|volume| volume.name.starts_with(start));
            fitting.map(|volume| (volume.name, String::new())).collect()
        }
        Kind::Artifacts => {
            let all = StoredArtifacts::new(context.global.store.open()?).list()?.into_iter();
            let fitting = all.filter_map(|one| one.name).filter(|name| name.starts_with(start));
            fitting.map(|name| (name, String::new())).collect()
        }
        Kind::Pods => {
            let all = context.containers()?.pods().all()?.into_iter();
            let names = all.map(|pod| pod.config.name).filter(|name| name.starts_with(start));
            names.map(|name| (name, String::new())).collect()
        }
        Kind::Secrets => {
            let all = context.containers()?.secrets().all()?.into_iter();
            let fitting = all.filter(|secret| secret.name.starts_with(start));
            fitting.map(|secret| (secret.name, String::new())).collect()
        }
    };
    found.sort();
    found.dedup();
    Ok((found, Directive::NoFileComp))
}

fn containers(state: State, start: &str, context: &Context) -> Result<Candidates> {
    let mut found = Candidates::new();
    let fits = |container: &Container| match (state, container.state.status) {
        (State::Any, _) => true,
        (State::Running, status) => status == Status::Running,
        (State::Paused, status) => status == Status::Paused,
        (State::Startable, status) => matches!(status, Status::Created | Status::Exited),
    };
    for container in context.containers()?.all(|_| ())?.into_iter().filter(fits) {
        let about = container.config.image_name.clone();
        if start.len() > 1 && container.id().starts_with(start) {
            let id = container.id().get(..SHORT).context("it is shorter than an ID")?;
            found.push((id.to_owned(), about.clone()));
        }
        if container.name().starts_with(start) {
            found.push((container.name().to_owned(), about));
        }
    }
    Ok(found)
}

/// With a part of a name, what is behind each slash of the names counts too.
fn images(start: &str, context: &Context) -> Result<Candidates> {
    let mut found = Candidates::new();
    for image in context.images()?.store().images()? {
        let id = image.id.to_string();
        if start.len() > 1 && id.starts_with(start) {
            let id = id.get(..SHORT).context("it is shorter than an ID")?;
            found.push((id.to_owned(), String::new()));
        }
        for name in &image.names {
            let parts = name.match_indices('/').map(|(at, _)| &name[at + 1..]);
            let parts = parts.filter(|_| !start.is_empty());
            let fitting = std::iter::once(name.as_str()).chain(parts);
            let fitting = fitting.filter(|part| part.starts_with(start));
            found.extend(fitting.map(|part| (part.to_owned(), String::new())));
        }
    }
    Ok(found)
}

fn networks(start: &str, context: &Context) -> Result<Candidates> {
    let all = context.containers()?.networks().list(|_| ())?.into_iter();
    let fitting = all.filter(|network| network.name.starts_with(start));
    Ok(fitting.map(|network| (network.name, network.driver)).collect())
}
