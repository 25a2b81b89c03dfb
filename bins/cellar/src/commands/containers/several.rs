//! What is done to several containers: which, and what is said of each.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, bail};
use cask_engine::{Container, ContainerFilter, ContainerState, Containers, ErrorKind};
use cask_program::{output, report};
use clap::Args;

use crate::context::Context;
use crate::moment;

/// Which containers are meant.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Which {
    /// The containers: names, IDs, or beginnings of IDs
    pub(crate) containers: Vec<String>,
    /// All containers that it can be done to
    #[arg(short, long)]
    pub(crate) all: bool,
    /// The container that was made last
    #[arg(short, long)]
    pub(crate) latest: bool,
    /// Read the ID of a container from this file
    #[arg(long, value_name = "FILE")]
    pub(crate) cidfile: Vec<String>,
    /// Do not fail where there is no such container
    #[arg(short, long)]
    pub(crate) ignore: bool,
    /// What they must fit: a flag of its own, since not every command has the same letter for it.
    #[arg(skip)]
    pub(crate) filter: Vec<String>,
}

/// The same, with the flag that leaves those that fit.
#[derive(Args, Clone, Debug)]
pub(crate) struct Filtered {
    #[command(flatten)]
    which: Which,
    /// Containers that fit, such as status=exited or label=KEY=VALUE
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
}

impl Filtered {
    /// Which containers that are.
    pub(crate) fn which(&self) -> Which {
        Which { filter: self.filter.clone(), ..self.which.clone() }
    }
}

/// A container that was found, with the word that it is called by in the output.
pub(crate) struct Meant {
    pub(crate) word: String,
    pub(crate) container: Container,
}

impl Which {
    /// Refuses what does not go together.
    ///
    /// Source: podman, `cmd/podman/validate/args.go`, `CheckAllLatestAndIDFile`.
    pub(crate) fn check(&self) -> Result<()> {
        let (named, from_file) = (!self.containers.is_empty(), !self.cidfile.is_empty());
        if !self.filter.is_empty() {
            return if named { Err(anyhow!("--filter takes no arguments")) } else { Ok(()) };
        }
        match (from_file, self.all, self.latest) {
            (true, true, _) | (true, _, true) => {
                bail!("--all, --latest, and --cidfile cannot be used together")
            }
            (_, true, true) => bail!("--all and --latest cannot be used together"),
            (_, true, _) if named => bail!("no arguments are needed with --all"),
            (_, _, true) if named => bail!("--latest and containers cannot be used together"),
            (true, ..) if named => bail!("no arguments are needed with --latest or --cidfile"),
            (false, false, false) if !named => bail!("you must provide at least one name or id"),
            _ => Ok(()),
        }
    }

    /// All that fit, in the order in which they were made.
    fn fitting(
        &self,
        containers: &Containers,
        errors: &mut Vec<anyhow::Error>,
    ) -> Result<Vec<Container>> {
        let now = moment::now();
        let filters = self.filter.iter().map(|text| ContainerFilter::parse(text, now));
        let filters = filters.collect::<Result<Vec<_>, _>>()?;
        let mut found = containers.list(&filters, |error| errors.push(error.into()))?;
        found.sort_by(|a, b| a.config.created.cmp(&b.config.created));
        Ok(found)
    }

    /// Finds them; what cannot be found is an error among the others. That it goes together is not looked at.
    pub(crate) fn find(
        &self,
        containers: &Containers,
        errors: &mut Vec<anyhow::Error>,
    ) -> Result<Vec<Meant>> {
        let named = !self.containers.is_empty() || !self.cidfile.is_empty();
        if !named {
            let found = match (self.latest, self.filter.is_empty()) {
                (true, true) => vec![one(containers, None, true)?],
                (false, _) => self.fitting(containers, errors)?,
                (true, false) => {
                    let latest = one(containers, None, true)?;
                    let mut found = self.fitting(containers, errors)?;
                    found.retain(|container| container.id() == latest.id());
                    found
                }
            };
            found.iter().for_each(note_damage);
            let meant = |container: Container| Meant { word: container.id().to_owned(), container };
            return Ok(found.into_iter().map(meant).collect());
        }
        let fitting = match self.filter.is_empty() {
            true => None,
            false => Some(self.fitting(containers, errors)?),
        };
        let mut meant = Vec::new();
        for word in self.words()? {
            match containers.find(&word) {
                Ok(container) => {
                    let is_it = |other: &Container| other.id() == container.id();
                    if fitting.as_ref().is_some_and(|all| !all.iter().any(is_it)) {
                        continue;
                    }
                    note_damage(&container);
                    meant.push(Meant { word, container });
                }
                Err(error) if self.ignore && error.kind() == ErrorKind::ContainerNotKnown => {}
                Err(error) => errors.push(error.into()),
            }
        }
        Ok(meant)
    }

    /// The same for each name that was given; for none, the same once.
    pub(crate) fn each(&self) -> Vec<Self> {
        match self.containers.as_slice() {
            [] => vec![self.clone()],
            names => {
                let one = |name: &String| Self { containers: vec![name.clone()], ..self.clone() };
                names.iter().map(one).collect()
            }
        }
    }

    /// Whether it does not matter that something failed: somebody else removed the container, which was not named, or of
    /// which it was said that it may be missing.
    pub(crate) fn forgives(&self, error: &anyhow::Error) -> bool {
        let kind = error.downcast_ref::<cask_engine::Error>().map(cask_engine::Error::kind);
        kind == Some(ErrorKind::ContainerNotKnown) && self.may_be_gone()
    }

    fn may_be_gone(&self) -> bool {
        self.ignore || (self.containers.is_empty() && self.cidfile.is_empty())
    }

    /// The names that were given, and those in files.
    fn words(&self) -> Result<Vec<String>> {
        let mut words = self.containers.clone();
        for file in &self.cidfile {
            if !self.ignore || Path::new(file).exists() {
                words.push(id_of(Path::new(file))?);
            }
        }
        Ok(words)
    }
}

/// The ID in a file.
pub(super) fn id_of(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("reading CIDFile: open {}", file.display()))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Says that little is known of a container whose record was damaged.
fn note_damage(container: &Container) {
    note_recovered(container.name(), &container.state);
}

/// As [`note_damage`], of whatever has a name and a state.
pub(super) fn note_recovered(name: &str, state: &ContainerState) {
    if state.recovered {
        report::note(&format!("container {name}: {}", state.error));
    }
}

/// Finds one container, or the latest.
pub(crate) fn one(containers: &Containers, name: Option<&str>, latest: bool) -> Result<Container> {
    match (name, latest) {
        (Some(_), true) => bail!("--latest and containers cannot be used together"),
        (Some(name), false) => {
            let found = containers.find(name)?;
            note_damage(&found);
            Ok(found)
        }
        (None, true) => containers.latest()?.context("no such container"),
        (None, false) => bail!("you must provide at least one name or id"),
    }
}

/// Does something to each of them, and prints its word where that went well.
pub(crate) fn each(
    which: &Which,
    context: &Context,
    act: impl FnMut(&Containers, &Container) -> Result<bool>,
) -> Result<ExitCode> {
    which.check()?;
    each_found(which, context, act)
}

/// As [`each`], where it is known that what says which goes together.
pub(crate) fn each_found(
    which: &Which,
    context: &Context,
    mut act: impl FnMut(&Containers, &Container) -> Result<bool>,
) -> Result<ExitCode> {
    let containers = context.containers()?;
    let mut errors = Vec::new();
    for Meant { word, container } in which.find(&containers, &mut errors)? {
        match act(&containers, &container) {
            Ok(true) => output::line(&word)?,
            Ok(false) => {}
            Err(error) if which.forgives(&error) => {}
            Err(error) => errors.push(error),
        }
    }
    Ok(finish(errors))
}

/// Reports every error; 125 where there was any.
pub(crate) fn finish(errors: Vec<anyhow::Error>) -> ExitCode {
    let failed = !errors.is_empty();
    for error in errors {
        report::engine_failure(&error, crate::run::hint);
    }
    if failed { ExitCode::from(125) } else { ExitCode::SUCCESS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_removed_it_meanwhile_is_forgiven_where_it_was_not_named() {
        let check = |change: fn(&mut Which), expected: bool| {
            let mut which = Which::default();
            change(&mut which);
            assert_eq!(which.may_be_gone(), expected, "{which:?}");
        };
        check(|which| which.all = true, true);
        check(|which| which.filter = vec!["status=exited".to_owned()], true);
        check(|which| which.containers = vec!["c".to_owned()], false);
        check(|which| which.cidfile = vec!["file".to_owned()], false);
        let ignores = |which: &mut Which| {
            which.containers = vec!["c".to_owned()];
            which.ignore = true;
        };
        check(ignores, true);
        assert!(!Which::default().forgives(&anyhow!("something else")));
    }
}
