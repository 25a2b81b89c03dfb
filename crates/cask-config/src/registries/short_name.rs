//! Names without a registry.

use std::fmt;
use std::str::FromStr;

use cask_json::quoted_as_go;
use cask_reference::{LiteralReference, Reference, ReferenceError, Repository};

use crate::registries::conf::invalid_name;
use crate::registries::{Alias, RecordedAliases, RegistriesConf};
use crate::{Error, ErrorKind};

/// What is done with a short name that may stand for several images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ShortNameMode {
    /// All are tried in order.
    Disabled,
    /// The user is asked; if nobody can be asked, all are tried in order.
    #[default]
    Permissive,
    /// The user is asked; if nobody can be asked, that is an error.
    Enforcing,
}

impl FromStr for ShortNameMode {
    type Err = Error;

    /// Reads `disabled`, `permissive` or `enforcing`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for anything else.
    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "disabled" => Ok(Self::Disabled),
            "permissive" => Ok(Self::Permissive),
            "enforcing" => Ok(Self::Enforcing),
            _ => {
                let quoted = quoted_as_go(text);
                let known = "known are enforcing, permissive and disabled";
                let message = format!("invalid short-name mode: {quoted}; {known}");
                Err(Error::new(ErrorKind::Invalid, message))
            }
        }
    }
}

/// How short names are treated.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ShortNameOptions {
    /// The mode, in place of the configuration's.
    pub mode: Option<ShortNameMode>,
    /// Whether there is a user who can answer.
    pub can_ask: bool,
    /// Whether all short names are of Docker Hub, whatever the configuration says: what Docker's
    /// API promises.
    pub docker_hub_only: bool,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShortNameResolution {
    /// These, to be tried in order.
    Resolved(ResolvedName),
    /// One of several, and the user has to say which.
    Ask(Question),
}

/// The images that a name stands for, each with a tag or a digest. There is at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedName {
    candidates: Vec<Reference>,
    description: Option<String>,
}

/// A choice between images, to be put to the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    short_name: String,
    candidates: Vec<Reference>,
}

/// The image that the user chose. Once it was pulled, the choice is recorded by
/// [`record_alias`](crate::registries::record_alias).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Choice {
    /// The image.
    pub reference: Reference,
    /// The name of the alias to record.
    pub short_name: String,
    /// What the alias shall stand for.
    pub repository: Repository,
}

impl RegistriesConf {
    /// Says which images a name stands for, that of a registry included, which stands for itself.
    ///
    /// Tag and digest are kept, and `latest` is added where neither is. An alias is looked up
    /// without them: first a recorded one, then one of the configuration. If there is none, the
    /// name is put behind each of the [search registries](Self::search_registries).
    ///
    /// Source: containers/image, `shortnames.Resolve`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`] if it is no name; [`ErrorKind::Unresolved`] if there is neither
    /// an alias nor a search registry; [`ErrorKind::CannotAsk`] if the user would have to be asked
    /// in [`ShortNameMode::Enforcing`], and cannot.
    pub fn resolve_short_name(
        &self,
        name: &str,
        recorded: &RecordedAliases,
        options: ShortNameOptions,
    ) -> Result<ShortNameResolution, Error> {
        let resolved = |candidates, description| {
            Ok(ShortNameResolution::Resolved(ResolvedName { candidates, description }))
        };
        let written = match read(name)? {
            Name::Full(reference) => return resolved(vec![reference], None),
            Name::Short(written) => written,
        };
        let quoted = quoted_as_go(written.name());
        if options.docker_hub_only {
            let description = format!("Resolving {quoted} to docker.io (enforced by caller)");
            return resolved(vec![on_docker_hub(&written)?], Some(description));
        }
        if let Some((repository, alias)) = self.alias(written.name(), recorded) {
            let description = format!("Resolved {quoted} as an alias ({})", alias.file());
            return resolved(vec![selected(repository, &written)], Some(description));
        }
        let candidates = self.searched(&written)?;
        let Some(origin) = self.search_origin().filter(|_| !candidates.is_empty()) else {
            return Err(self.unresolved(name));
        };
        let description =
            format!("Resolving {quoted} using unqualified-search registries ({origin})");
        let mode = options.mode.unwrap_or(self.short_name_mode());
        match (mode, options.can_ask) {
            _ if candidates.len() == 1 => resolved(candidates, Some(description)),
            (ShortNameMode::Disabled, _) | (ShortNameMode::Permissive, false) => {
                resolved(candidates, Some(description))
            }
            (ShortNameMode::Enforcing, false) => {
                let message = "short-name resolution enforced but cannot prompt without a TTY";
                Err(Error::new(ErrorKind::CannotAsk, message))
            }
            (ShortNameMode::Permissive | ShortNameMode::Enforcing, true) => {
                let short_name = written.name().to_owned();
                Ok(ShortNameResolution::Ask(Question { short_name, candidates }))
            }
        }
    }

    /// The images of a local store that a name may stand for: what its alias stands for, the image
    /// of `localhost`, and those of the search registries. There is at least one.
    ///
    /// Source: containers/image, `shortnames.ResolveLocally`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`] if it is no name.
    pub fn resolve_locally(
        &self,
        name: &str,
        recorded: &RecordedAliases,
        options: ShortNameOptions,
    ) -> Result<Vec<Reference>, Error> {
        let written = match read(name)? {
            Name::Full(reference) => return Ok(vec![reference]),
            Name::Short(written) => written,
        };
        if options.docker_hub_only {
            return Ok(vec![on_docker_hub(&written)?]);
        }
        let alias = self.alias(written.name(), recorded);
        let mut candidates: Vec<_> =
            alias.map(|(repository, _)| selected(repository, &written)).into_iter().collect();
        candidates.push(qualified(&written, "localhost")?);
        candidates.extend(self.searched(&written)?);
        Ok(candidates)
    }

    /// The alias of a short name, unless it is set to nothing: a recorded one, or else one of the
    /// configuration.
    fn alias<'a>(
        &'a self,
        name: &str,
        recorded: &'a RecordedAliases,
    ) -> Option<(&'a Repository, &'a Alias)> {
        let alias = recorded.aliases().get(name).or_else(|| self.aliases.get(name))?;
        alias.repository().map(|repository| (repository, alias))
    }

    fn searched(&self, written: &LiteralReference) -> Result<Vec<Reference>, Error> {
        self.search_registries().iter().map(|host| qualified(written, host)).collect()
    }

    fn unresolved(&self, name: &str) -> Error {
        let name = quoted_as_go(name);
        let start = format!("short-name {name} did not resolve to an alias and no");
        let message = match self.search_origin() {
            Some(origin) => {
                format!(
                    "{start} unqualified-search registries are defined in {}",
                    quoted_as_go(origin)
                )
            }
            None => format!("{start} containers-registries.conf(5) was found"),
        };
        Error::new(ErrorKind::Unresolved, message)
    }
}

impl ResolvedName {
    /// The images, in the order in which they are tried.
    pub fn candidates(&self) -> &[Reference] {
        &self.candidates
    }

    /// Says to the user why it is these, before they are pulled; `None` for a name that names its
    /// registry.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Says why all candidates failed, given the reason of each in their order.
    ///
    /// Source: containers/image, `FormatPullErrors`.
    pub fn failure<R: fmt::Display>(&self, reasons: &[R]) -> String {
        match reasons {
            [reason] => reason.to_string(),
            _ => {
                let reasons: Vec<_> = reasons.iter().map(ToString::to_string).collect();
                let count = reasons.len();
                format!("{count} errors occurred while pulling:\n * {}", reasons.join("\n * "))
            }
        }
    }
}

impl Question {
    /// What the user wrote, without tag and digest.
    pub fn short_name(&self) -> &str {
        &self.short_name
    }

    /// The images to choose from, two or more.
    pub fn candidates(&self) -> &[Reference] {
        &self.candidates
    }

    /// Takes the user's answer, an index of [`Self::candidates`]; `None` if it is none.
    pub fn choose(&self, index: usize) -> Option<Choice> {
        let reference = self.candidates.get(index)?.clone();
        let (short_name, repository) = (self.short_name.clone(), reference.repository().clone());
        Some(Choice { reference, short_name, repository })
    }
}

enum Name {
    Full(Reference),
    Short(LiteralReference),
}

/// Source: containers/image, `parseUnnormalizedShortName`.
fn read(name: &str) -> Result<Name, Error> {
    let quoted = quoted_as_go(name);
    let fail = |what: &str, error: ReferenceError| {
        invalid_name(format!("cannot {what} input: {quoted}: {error}"))
    };
    let written = LiteralReference::parse(name).map_err(|error| fail("parse", error))?;
    if written.is_short_name() {
        return Ok(Name::Short(written));
    }
    let full = written.normalize().map_err(|error| fail("normalize", error))?;
    Ok(Name::Full(full.with_default_tag()))
}

/// An image of a repository, with the tag and the digest that were written.
fn selected(repository: &Repository, written: &LiteralReference) -> Reference {
    let mut reference = Reference::from(repository.clone());
    if let Some(tag) = written.tag() {
        reference = reference.with_tag(tag.clone());
    }
    if let Some(digest) = written.digest() {
        reference = reference.with_digest(digest.clone());
    }
    reference.with_default_tag()
}

fn qualified(written: &LiteralReference, host: &str) -> Result<Reference, Error> {
    let qualified = written.qualify(host).map_err(|error| {
        let host = quoted_as_go(host);
        let what = "creating reference with unqualified-search registry";
        invalid_name(format!("{what} {host}: {error}"))
    })?;
    Ok(qualified.with_default_tag())
}

fn on_docker_hub(written: &LiteralReference) -> Result<Reference, Error> {
    let normalized = written.normalize().map_err(|error| {
        let quoted = quoted_as_go(&written.to_string());
        invalid_name(format!("cannot normalize input: {quoted}: {error}"))
    })?;
    Ok(normalized.with_default_tag())
}
