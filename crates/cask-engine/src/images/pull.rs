//! Images that come from registries and other places.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use cask_config::registries::{
    Choice, Question, RecordedAliases, ResolvedName, ShortNameOptions, ShortNameResolution,
    record_alias,
};
use cask_copy::{CopyOptions, plan};
use cask_reference::Reference;
use cask_storage::Id;
use cask_transport::{Location, ManifestRole, Selector, Transports};
use futures_util::TryStreamExt as _;
use futures_util::future::BoxFuture;

use super::find::Found;
use super::moving::{Arrived, arrived, destination, on_thread};
use super::names::whole_name;
use crate::{Error, ErrorKind, Images, Result};

const REGISTRY: &str = "docker";

/// When an image is pulled that is in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// Always: what is there may be old.
    #[default]
    Always,
    /// Never: only what is not there is pulled.
    Missing,
    /// If the registry has another one. If it cannot be asked, what is there will do.
    Newer,
    /// Nothing is ever pulled.
    Never,
}

impl FromStr for PullPolicy {
    type Err = Error;

    /// Reads podman's words.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`].
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "always" | "Always" => Ok(Self::Always),
            "missing" | "Missing" | "ifnotpresent" | "IfNotPresent" | "" => Ok(Self::Missing),
            "newer" | "Newer" | "ifnewer" | "IfNewer" => Ok(Self::Newer),
            "never" | "Never" => Ok(Self::Never),
            _ => {
                let detail = format!("unsupported pull policy {text:?}");
                Err(Error::new(ErrorKind::Invalid, "", detail)
                    .with_hint("the policies are always, missing, newer and never"))
            }
        }
    }
}

/// Asks the user which of several images a short name means: the position of the answer, or nothing.
pub type AskShortName = Arc<dyn Fn(Question) -> BoxFuture<'static, Option<usize>> + Send + Sync>;

/// What happens while an image is pulled, besides what the copy tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PullEvent {
    /// What a short name means, and why; a sentence.
    Resolved(String),
    /// An image is about to be pulled from a registry.
    Trying(Reference),
    /// What the user chose cannot be remembered; why.
    NotRecorded(String),
}

/// How images are pulled.
#[derive(Clone)]
#[non_exhaustive]
pub struct PullOptions {
    /// How they are copied: the signature policy, the platform, who is told.
    pub copy: CopyOptions,
    /// When an image is pulled that is in the store.
    pub policy: PullPolicy,
    /// Whether the platform was asked for: then an image that is there may be of another one.
    pub platform_asked: bool,
    /// Whether every tag of the repository is pulled.
    pub all_tags: bool,
    /// The file with the user's choices between registries; `None` remembers nothing.
    pub recorded_aliases: Option<PathBuf>,
    /// Who says which image a short name means; `None` if there is nobody to ask.
    pub ask: Option<AskShortName>,
    /// Who is told.
    pub told: Arc<dyn Fn(PullEvent) + Send + Sync>,
}

impl PullOptions {
    /// Starts from how images are copied.
    pub fn new(copy: CopyOptions) -> Self {
        Self {
            copy,
            policy: PullPolicy::default(),
            platform_asked: false,
            all_tags: false,
            recorded_aliases: None,
            ask: None,
            told: Arc::new(|_| ()),
        }
    }
}

impl fmt::Debug for PullOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PullOptions")
            .field("copy", &self.copy)
            .field("policy", &self.policy)
            .field("platform_asked", &self.platform_asked)
            .field("all_tags", &self.all_tags)
            .finish_non_exhaustive()
    }
}

impl Images {
    /// Pulls what a user of podman names: an image of a registry, by its whole name or a short one,
    /// with a tag or a digest or neither; or anything behind the scheme of a transport. Gives the
    /// images in the order in which they came, which is more than one only for all tags.
    ///
    /// An image of a registry gets the name that it was pulled by. What else has no name of its own
    /// is known by its ID. `containers-storage:` of the transports has to mean this store.
    ///
    /// A short name means, in this order: the image of the store that it means; its alias; the
    /// images of the search registries, until one can be pulled.
    ///
    /// Source: containers/common, `libimage/pull.go`.
    ///
    /// # Errors
    /// [`ErrorKind::ImageNotKnown`] where nothing may be pulled; [`ErrorKind::Configuration`] for
    /// short names that mean nothing; [`ErrorKind::Invalid`]; [`ErrorKind::Transfer`].
    pub async fn pull(
        &self,
        name: &str,
        transports: &Transports,
        options: &PullOptions,
    ) -> Result<Vec<Arrived>> {
        // `docker:dind` is an image of that name, with a tag.
        let parts = name
            .split_once(':')
            .filter(|(scheme, rest)| *scheme != REGISTRY || rest.starts_with("//"));
        let scheme = parts.map(|(scheme, _)| scheme);
        let Some(scheme) = scheme.filter(|scheme| transports.find(scheme).is_some()) else {
            if is_id(name) {
                return Ok(vec![self.pull_id(name, options).await?]);
            }
            return self.pull_from_registry(name, transports, options).await;
        };
        let location = transports.parse(name)?;
        if scheme == REGISTRY {
            let named = location.reference().map_or_else(|| name.to_owned(), ToString::to_string);
            return self.pull_from_registry(&named, transports, options).await;
        }
        if options.all_tags {
            let detail = format!("pulling all tags is not supported for {scheme} transport");
            return Err(Error::new(ErrorKind::Invalid, "", detail));
        }
        let names = names_at(&*location, name).await?;
        Ok(vec![self.take_in(&*location, &names, transports, &options.copy).await?])
    }

    /// Takes what a place behind the scheme of a transport holds into the store, without a name;
    /// `None` where there is no such image.
    ///
    /// # Errors
    /// As [`pull`](Self::pull).
    pub async fn take_unnamed(
        &self,
        place: &str,
        transports: &Transports,
        options: &CopyOptions,
    ) -> Result<Option<Id>> {
        let from = transports.parse(place)?;
        match self.take_in(&*from, &[], transports, options).await {
            Ok(arrived) => Ok(Some(arrived.id)),
            Err(error) if is_nothing_there(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What is known by its ID can only be there.
    async fn pull_id(&self, name: &str, options: &PullOptions) -> Result<Arrived> {
        if options.policy == PullPolicy::Always {
            return Err(always_by_id(name));
        }
        self.find_on_thread(name).await.map(Arrived::found)
    }

    async fn pull_from_registry(
        &self,
        name: &str,
        transports: &Transports,
        options: &PullOptions,
    ) -> Result<Vec<Arrived>> {
        if !options.all_tags {
            return Ok(vec![self.pull_one(name, transports, options).await?]);
        }
        let Candidates { images, .. } = self.resolve_to_pull(name, options).await?;
        let repository = images.first().map(|image| image.name().to_owned()).unwrap_or_default();
        let place = transports.parse(&format!("{REGISTRY}://{repository}"))?;
        let collection = place.collection().await?;
        let entries: Vec<_> = collection.entries().try_collect().await?;
        let mut all = Vec::new();
        for tag in entries.into_iter().flat_map(|entry| entry.names) {
            all.push(self.pull_one(&format!("{repository}:{tag}"), transports, options).await?);
        }
        Ok(all)
    }

    async fn pull_one(
        &self,
        name: &str,
        transports: &Transports,
        options: &PullOptions,
    ) -> Result<Arrived> {
        let there = self.find_if_there(name).await?;
        let policy = match options.policy {
            // What is there may be of another platform.
            PullPolicy::Missing if options.platform_asked => PullPolicy::Newer,
            policy => policy,
        };
        let name = match (policy, there.as_ref()) {
            (PullPolicy::Never, None) => return Err(Error::not_known(name)),
            (PullPolicy::Never | PullPolicy::Missing, Some(found)) => {
                return Ok(Arrived::found(found.clone()));
            }
            (_, Some(found)) if found.image.id.as_str().starts_with(name) => {
                return match policy {
                    PullPolicy::Always => Err(always_by_id(name)),
                    _ => Ok(Arrived::found(found.clone())),
                };
            }
            (_, Some(found)) if !options.platform_asked => found.name.clone(),
            _ => name.to_owned(),
        };
        let candidates = self.resolve_to_pull(&name, options).await?;
        let there = there.filter(|_| policy == PullPolicy::Newer);
        self.pull_first(&candidates, there, transports, options).await
    }

    /// Pulls the first candidate that can be pulled.
    async fn pull_first(
        &self,
        candidates: &Candidates,
        there: Option<Found>,
        transports: &Transports,
        options: &PullOptions,
    ) -> Result<Arrived> {
        let mut failures = Vec::new();
        let mut description = candidates.description.clone();
        for image in &candidates.images {
            let tell = || {
                description.take().map(PullEvent::Resolved).into_iter().for_each(&*options.told);
                (options.told)(PullEvent::Trying(image.clone()));
            };
            match pull_candidate(image, there.as_ref(), transports, options, tell).await {
                Ok(Some(arrived)) => {
                    if let Some(choice) = &candidates.choice {
                        record(choice, options).await;
                    }
                    return Ok(arrived);
                }
                Ok(None) => break,
                Err(error) => failures.push(of_source(error, image)),
            }
        }
        match (there, failures.len()) {
            (Some(found), _) => Ok(Arrived::found(found)),
            (None, 1) => Err(failures.swap_remove(0)),
            (None, count) => {
                let all: Vec<String> = failures.iter().map(Error::whole).collect();
                // The words of containers/image.
                let all = all.join("\n * ");
                let detail = format!("{count} errors occurred while pulling:\n * {all}");
                Err(Error::new(ErrorKind::Transfer, "", detail))
            }
        }
    }

    /// The images of registries that a name stands for, the first one first.
    pub(super) async fn images_to_pull(
        &self,
        name: &str,
        options: &PullOptions,
    ) -> Result<Vec<Reference>> {
        Ok(self.resolve_to_pull(name, options).await?.images)
    }

    /// The images of registries that a name stands for.
    async fn resolve_to_pull(&self, name: &str, options: &PullOptions) -> Result<Candidates> {
        let unclear = |error: cask_config::Error| {
            let kind = match error.kind() {
                cask_config::ErrorKind::InvalidName => ErrorKind::Invalid,
                _ => ErrorKind::Configuration,
            };
            Error::new(kind, "", error.to_string())
        };
        let recorded = match &options.recorded_aliases {
            Some(path) => RecordedAliases::load(path).map_err(unclear)?,
            None => RecordedAliases::default(),
        };
        let mut short = ShortNameOptions::default();
        short.can_ask = options.ask.is_some();
        let conf = self.registries()?;
        match conf.resolve_short_name(name, &recorded, short).map_err(unclear)? {
            ShortNameResolution::Resolved(resolved) => Ok(Candidates::resolved(&resolved)),
            ShortNameResolution::Ask(question) => {
                let answer = match &options.ask {
                    Some(ask) => ask(question.clone()).await,
                    None => None,
                };
                let choice = answer.and_then(|index| question.choose(index));
                let Some(choice) = choice else {
                    let detail = format!("nobody said which image {:?} is", question.short_name());
                    return Err(Error::new(ErrorKind::Configuration, "", detail));
                };
                let images = vec![one_selector(choice.reference.clone())];
                Ok(Candidates { images, description: None, choice: Some(choice) })
            }
        }
    }
}

/// The images that a name may stand for, the first first.
struct Candidates {
    images: Vec<Reference>,
    description: Option<String>,
    choice: Option<Choice>,
}

impl Candidates {
    fn resolved(resolved: &ResolvedName) -> Self {
        Self {
            images: resolved.candidates().iter().cloned().map(one_selector).collect(),
            description: resolved.description().map(str::to_owned),
            choice: None,
        }
    }
}

/// A digest says more than a tag beside it.
fn one_selector(name: Reference) -> Reference {
    if name.digest().is_some() { name.without_tag() } else { name }
}

/// Pulls one image; nothing, if the one that is there is no other.
async fn pull_candidate(
    image: &Reference,
    there: Option<&Found>,
    transports: &Transports,
    options: &PullOptions,
    tell: impl FnOnce(),
) -> Result<Option<Arrived>> {
    let from = transports.parse(&format!("{REGISTRY}://{image}"))?;
    let names = std::slice::from_ref(image);
    let (to, copy) = destination(&*from, names, transports, &options.copy).await?;
    let Some(found) = there else {
        tell();
        let report = cask_copy::copy(&*from, &*to, &copy).await?;
        return arrived(&report, names).map(Some);
    };
    let planned = plan(&*from, &*to, &copy).await?;
    let known = found.image.digests();
    let is_top = |role: &ManifestRole| *role == ManifestRole::Top;
    let mut tops = planned.plan().manifests.iter().filter(|step| is_top(&step.role));
    if tops.any(|step| known.contains(&step.source.digest)) {
        return Ok(None);
    }
    tell();
    let report = match planned.execute().await {
        // Somebody took away meanwhile what is in the store.
        Err(error) if error.kind() == cask_transport::ErrorKind::Changed => {
            cask_copy::copy(&*from, &*to, &copy).await?
        }
        done => done?,
    };
    arrived(&report, names).map(Some)
}

/// Says what was to be read, where it could not even be found: in the words of containers/image.
fn of_source(error: Error, image: &Reference) -> Error {
    let operation = error.transfer().map_or("", cask_transport::Error::operation);
    match operation.starts_with("pinging") || operation.starts_with("reading manifest") {
        true => {
            let detail = format!("initializing source {REGISTRY}://{image}");
            Error::new(ErrorKind::Transfer, "", detail).with_cause(error)
        }
        false => error,
    }
}

/// Remembers what the user chose.
async fn record(choice: &Choice, options: &PullOptions) {
    let Some(path) = options.recorded_aliases.clone() else { return };
    let choice = choice.clone();
    let recorded = on_thread(move || {
        record_alias(&path, &choice.short_name, &choice.repository)
            .map_err(|error| Error::new(ErrorKind::Configuration, "", error.to_string()))
    });
    if let Err(error) = recorded.await {
        (options.told)(PullEvent::NotRecorded(error.to_string()));
    }
}

/// Whether a text cannot be a name.
fn is_id(text: &str) -> bool {
    text.starts_with("sha256:") || text.len() == 64 && !text.contains(['/', '.', ':', '@'])
}

fn always_by_id(name: &str) -> Error {
    let detail = format!("pull policy is always but image has been referred to by ID ({name})");
    Error::new(ErrorKind::Invalid, "", detail)
}

/// The names that an image gets from its place.
///
/// Source: containers/common, `libimage/pull.go`, `copyFromDefault`; there, what comes from a layout is called as its
/// path even where the layout has a whole name for it.
async fn names_at(location: &dyn Location, text: &str) -> Result<Vec<Reference>> {
    match location.scheme() {
        "docker-daemon" | "containers-storage" => match location.reference() {
            Some(reference) => Ok(vec![reference.clone()]),
            None if location.scheme() == "docker-daemon" => Ok(Vec::new()),
            None => {
                let detail = format!("could not get an image name for storage reference {text:?}");
                Err(Error::new(ErrorKind::Invalid, "", detail))
            }
        },
        "docker-archive" => match location.reference() {
            Some(reference) => Ok(vec![whole_name(&reference.to_string())?]),
            None => names_in_archive(location, text).await,
        },
        "oci" | "oci-archive" => {
            let source = location.source().await?;
            let descriptor = source.resolve(&Selector::Chosen).await?;
            let name = super::load::name_of(&descriptor).map(str::to_owned);
            let name = name.or_else(|| location.name().filter(|name| !name.starts_with('@')));
            // A tag alone would be one name for the images of all layouts.
            if location.scheme() == "oci" && !name.as_deref().is_some_and(|name| name.contains('/'))
            {
                return Ok(name_of_path(text).into_iter().collect());
            }
            name.iter().map(|name| whole_name(name)).collect()
        }
        _ => Ok(Vec::new()),
    }
}

/// What the image of a layout is called: `localhost/` and the path, where that can be a name.
fn name_of_path(text: &str) -> Option<Reference> {
    let path = text.strip_prefix("oci:").unwrap_or(text);
    let path = Path::new(path.split_once(':').map_or(path, |(path, _)| path));
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(part) => part.to_str(),
        _ => None,
    });
    whole_name(&format!("localhost/{}", parts.collect::<Vec<_>>().join("/"))).ok()
}

/// All names of the one image that was chosen of an archive.
async fn names_in_archive(location: &dyn Location, text: &str) -> Result<Vec<Reference>> {
    let position = text.rsplit_once(":@").and_then(|(_, position)| position.parse::<usize>().ok());
    let collection = location.collection().await?;
    let entries: Vec<_> = collection.entries().try_collect().await?;
    // Which of several is meant, if no position says it, the copy asks.
    let chosen = entries.into_iter().nth(position.unwrap_or(0));
    chosen.iter().flat_map(|entry| &entry.names).map(|name| whole_name(name)).collect()
}

/// Whether a place has no such image, or is not there at all.
fn is_nothing_there(error: &Error) -> bool {
    use cask_transport::ErrorKind as Kind;
    error.transfer().is_some_and(|error| matches!(error.kind(), Kind::NotFound | Kind::Missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_podman_s() {
        let check = |text: &str, expected: PullPolicy| {
            assert_eq!(text.parse::<PullPolicy>().unwrap(), expected, "{text}");
        };
        check("always", PullPolicy::Always);
        check("missing", PullPolicy::Missing);
        check("", PullPolicy::Missing);
        check("newer", PullPolicy::Newer);
        check("never", PullPolicy::Never);
        let error = "sometimes".parse::<PullPolicy>().unwrap_err();
        assert_eq!(error.to_string(), "unsupported pull policy \"sometimes\"");
    }

    #[test]
    fn layouts_have_the_names_of_their_paths() {
        let check = |text: &str, expected: Option<&str>| {
            let name = name_of_path(text).map(|name| name.to_string());
            assert_eq!(name.as_deref(), expected, "{text}");
        };
        check("oci:/a/b", Some("localhost/a/b:latest"));
        check("oci:./b:v1", Some("localhost/b:latest"));
        check("oci:/a/B", None);
        check("oci:/", None);
    }

    #[test]
    fn ids_are_no_names() {
        assert!(is_id("sha256:abc"));
        assert!(is_id(&"a".repeat(64)));
        assert!(!is_id(&"a".repeat(63)));
        assert!(!is_id("host.example/x"));
    }
}
