//! Which containers are listed.

use std::collections::BTreeSet;

use cask_storage::Id;
use regex_lite::Regex;

use super::{Container, ContainerSummary, Containers, NetworkMode, RestartPolicy};
use crate::{Error, ErrorKind, Result};

/// One condition of `ps --filter` and its like. Source: podman-ps(1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContainerFilter {
    /// The ID begins so, or has this regular expression in it.
    Id(String),
    /// The name has this regular expression in it.
    Name(String),
    /// This is where it is in its life.
    Status(String),
    /// It ended with this code.
    Exited(i32),
    /// It has this label, with this value if there is one.
    Label(String, Option<String>),
    /// It has not.
    NotLabel(String, Option<String>),
    /// It was made from this image: a name or an ID.
    Ancestor(String),
    /// It was made before this one.
    Before(String),
    /// It was made after this one.
    Since(String),
    /// It mounts this volume or directory, or has one there: `SOURCE`, `SOURCE:TARGET` or `TARGET`.
    Volume(String),
    /// It is in this network, or uses that of `container:NAME`.
    Network(String),
    /// It is in this pod: the ID begins so, or the name has this regular expression in it.
    Pod(String),
    /// It begins again so: `no`, `always`, `on-failure` or `unless-stopped`.
    RestartPolicy(String),
    /// It was made before this moment, in seconds since 1970.
    Until(i64),
    /// Its health: `starting`, `healthy`, `unhealthy`, or `none` where nothing checks it.
    Health(String),
}

/// Where a container can be in its life, in podman's words.
const STATES: [&str; 9] = [
    "created",
    "initialized",
    "running",
    "paused",
    "exited",
    "stopped",
    "stopping",
    "removing",
    "unknown",
];

/// Whether a container begins again, in podman's words.
const POLICIES: [&str; 5] = ["none", "no", "always", "on-failure", "unless-stopped"];

/// A regular expression, which must be one.
fn expression(key: &str, value: &str) -> Result<String> {
    match Regex::new(value) {
        Ok(_) => Ok(value.to_owned()),
        Err(error) => {
            let words = format!("invalid filter {:?}", format!("{key}={value}"));
            Err(Error::new(ErrorKind::Invalid, words, error.to_string()))
        }
    }
}

/// Whether a text has an expression in it, which was checked before.
fn fits(expression: &str) -> impl Fn(&str) -> bool + use<> {
    let expression = Regex::new(expression);
    move |text| expression.as_ref().is_ok_and(|expression| expression.is_match(text))
}

/// A check of whether a text has a regular expression in it.
///
/// # Errors
/// [`ErrorKind::Invalid`] for a text that is none; `key` is what somebody gave it as.
pub fn parse_expression(key: &str, value: &str) -> Result<impl Fn(&str) -> bool + use<>> {
    Ok(fits(&expression(key, value)?))
}

impl ContainerFilter {
    /// The word before `=`.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Id(_) => "id",
            Self::Name(_) => "name",
            Self::Status(_) => "status",
            Self::Exited(_) => "exited",
            Self::Label(..) => "label",
            Self::NotLabel(..) => "label!",
            Self::Ancestor(_) => "ancestor",
            Self::Before(_) => "before",
            Self::Since(_) => "since",
            Self::Volume(_) => "volume",
            Self::Network(_) => "network",
            Self::Pod(_) => "pod",
            Self::RestartPolicy(_) => "restart-policy",
            Self::Until(_) => "until",
            Self::Health(_) => "health",
        }
    }

    /// Reads `KEY=VALUE`; times that are durations count back from `now`, in seconds since 1970.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`].
    pub fn parse(text: &str, now: i64) -> Result<Self> {
        let refused = |words: String| Error::new(ErrorKind::Invalid, words, "");
        let Some((key, value)) = text.split_once('=') else {
            return Err(refused(format!("invalid filter {text:?}")).with_hint("it is KEY=VALUE"));
        };
        let label = || match value.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (value.to_owned(), None),
        };
        let text = value.to_owned();
        Ok(match key {
            "id" => Self::Id(expression(key, value)?),
            "name" => Self::Name(expression(key, value)?),
            "status" if STATES.contains(&value) => Self::Status(text),
            "status" => {
                return Err(refused(format!("unknown container state: {value}: invalid argument")));
            }
            "exited" => match value.parse() {
                Ok(code) => Self::Exited(code),
                Err(_) => return Err(refused(format!("exited code out of range {value:?}"))),
            },
            "label" => {
                let (name, value) = label();
                Self::Label(name, value)
            }
            "label!" => {
                let (name, value) = label();
                Self::NotLabel(name, value)
            }
            "ancestor" => Self::Ancestor(text),
            "before" => Self::Before(text),
            "since" => Self::Since(text),
            "volume" => Self::Volume(text),
            "network" => Self::Network(text),
            "until" => Self::Until(crate::parse_moment(value, now)?),
            "health" => Self::Health(text),
            "pod" => Self::Pod(expression(key, value)?),
            "restart-policy" if POLICIES.contains(&value) => Self::RestartPolicy(text),
            "restart-policy" => return Err(refused(format!("{value} invalid restart policy"))),
            _ => return Err(refused(format!("{key} is an invalid filter"))),
        })
    }
}

impl Containers {
    /// The containers that fit every key of `filters`; of several conditions of one key, one must.
    ///
    /// # Errors
    /// [`ErrorKind::ContainerNotKnown`] for one that `before` or `since` names; [`ErrorKind::Io`].
    pub fn list(
        &self,
        filters: &[ContainerFilter],
        mut damaged: impl FnMut(Error),
    ) -> Result<Vec<Container>> {
        if filters.is_empty() {
            return self.all(damaged);
        }
        let mut found = Vec::new();
        for summary in self.summaries(filters, &mut damaged)? {
            match self.at(&Id::parse(&summary.id)?) {
                Ok(container) => found.push(container),
                // It was removed meanwhile.
                Err(error) if error.kind() == ErrorKind::ContainerNotKnown => {}
                Err(error) => damaged(error),
            }
        }
        Ok(found)
    }

    /// What lists say of the same containers as [`list`](Self::list) has, several times sooner.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn summaries(
        &self,
        filters: &[ContainerFilter],
        damaged: impl FnMut(Error),
    ) -> Result<Vec<ContainerSummary>> {
        let mut found = self.all_summaries(damaged)?;
        let mut tests: Vec<(std::mem::Discriminant<ContainerFilter>, Vec<Test>)> = Vec::new();
        for filter in filters {
            let kind = std::mem::discriminant(filter);
            let test = self.test(filter)?;
            match tests.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, same)) => same.push(test),
                None => tests.push((kind, vec![test])),
            }
        }
        found.retain(|one| {
            tests.iter().all(|(kind, same)| {
                let all_must =
                    *kind == std::mem::discriminant(&ContainerFilter::Label(String::new(), None));
                if all_must {
                    same.iter().all(|test| test(one))
                } else {
                    same.iter().any(|test| test(one))
                }
            })
        });
        Ok(found)
    }

    fn test(&self, filter: &ContainerFilter) -> Result<Test> {
        let created = |name: &str| self.find(name).map(|one| one.config.created);
        Ok(match filter.clone() {
            ContainerFilter::Id(id) => {
                let fits = fits(&id);
                Box::new(move |one| one.id.starts_with(&id) || fits(&one.id))
            }
            ContainerFilter::Name(name) => {
                let fits = fits(&name);
                Box::new(move |one| fits(&one.name))
            }
            ContainerFilter::Status(status) => {
                let status = if status == "stopped" { "exited".to_owned() } else { status };
                Box::new(move |one| one.state.word() == status)
            }
            ContainerFilter::Exited(code) => Box::new(move |one| {
                one.state.status == super::Status::Exited && one.state.exit_code == code
            }),
            ContainerFilter::Label(name, value) => {
                Box::new(move |one| has_label(one, &name, value.as_deref()))
            }
            ContainerFilter::NotLabel(name, value) => {
                Box::new(move |one| !has_label(one, &name, value.as_deref()))
            }
            ContainerFilter::Ancestor(image) => {
                let id = self.images().find(&image).map(|found| found.image.id.to_string());
                let id = id.unwrap_or_default();
                Box::new(move |one| {
                    let is_it = !id.is_empty() && one.image_id == id;
                    is_it || one.image_name.contains(&image)
                })
            }
            ContainerFilter::Before(name) => {
                let than = created(&name)?;
                Box::new(move |one| moment(&one.created) < moment(&than))
            }
            ContainerFilter::Since(name) => {
                let than = created(&name)?;
                Box::new(move |one| moment(&one.created) > moment(&than))
            }
            ContainerFilter::Volume(volume) => Box::new(move |one| mounts(one, &volume)),
            ContainerFilter::Network(network) => {
                let other = network.strip_prefix("container:").map(|name| self.find(name));
                let other = other.and_then(Result::ok).map(|other| other.config.id);
                Box::new(move |one| match &one.network {
                    NetworkMode::Container(id) => other.as_ref() == Some(id),
                    _ => one.networks.contains(&network),
                })
            }
            ContainerFilter::Pod(pod) => {
                let fits = fits(&pod);
                let all = self.pods().all()?;
                let named =
                    all.into_iter().filter(|one| one.id().starts_with(&pod) || fits(one.name()));
                let ids: BTreeSet<String> = named.map(|one| one.config.id).collect();
                Box::new(move |one| ids.contains(&one.pod.id))
            }
            ContainerFilter::RestartPolicy(policy) => {
                // Without a policy it is none.
                Box::new(move |one| match policy.as_str() {
                    "none" => matches!(one.restart, RestartPolicy::Unsaid),
                    policy => one.restart.name() == policy,
                })
            }
            ContainerFilter::Until(until) => {
                Box::new(move |one| moment(&one.created).is_some_and(|(at, _)| at < until))
            }
            ContainerFilter::Health(health) => Box::new(move |one| {
                let found = one.health().status;
                health == if found.is_empty() { "none" } else { &found }
            }),
        })
    }
}

type Test = Box<dyn Fn(&ContainerSummary) -> bool>;

/// A moment, to be compared.
fn moment(text: &str) -> Option<(i64, u32)> {
    let time: cask_image::Timestamp = text.parse().ok()?;
    Some((time.unix_seconds(), time.nanoseconds()))
}

fn has_label(one: &ContainerSummary, name: &str, value: Option<&str>) -> bool {
    one.labels.get(name).is_some_and(|found| value.is_none_or(|value| found == value))
}

/// Whether it has something mounted: `SOURCE`, `SOURCE:TARGET` or `TARGET`.
fn mounts(one: &ContainerSummary, wanted: &str) -> bool {
    let (source, target) = match wanted.split_once(':') {
        Some((source, target)) => (source, Some(target)),
        None => (wanted, None),
    };
    one.mounts.iter().any(|(of, to)| {
        let at = |path: &str| to.as_os_str() == path;
        match target {
            Some(target) => of == source && at(target),
            None => of == source || at(wanted),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_expressions() {
        for (pattern, fitting) in [
            ("we", true),
            ("^we", true),
            ("^eb", false),
            ("eb$", true),
            ("^w[a-f]b$", true),
            ("^we$", false),
        ] {
            assert_eq!(fits(pattern)("web"), fitting, "{pattern}");
        }
    }

    #[test]
    fn volumes_are_named_by_either_end() {
        let directory = tempfile::tempdir().unwrap();
        let kept = directory.path().to_owned();
        let place = super::super::record::Place { run: kept.clone(), kept };
        let mut config = super::super::ContainerConfig::default();
        config.files.mounts.push(super::super::MountConfig {
            source: "data".to_owned(),
            target: "/inside".into(),
            ..Default::default()
        });
        let state = super::super::ContainerState::default();
        let one = ContainerSummary::from(Container { config, state, place });
        for (wanted, expected) in [
            ("data", true),
            ("/inside", true),
            ("data:/inside", true),
            ("data:/x", false),
            ("x", false),
        ] {
            assert_eq!(mounts(&one, wanted), expected, "{wanted}");
        }
    }

    #[test]
    fn filters_are_read_or_refused() {
        let read = |text: &str| ContainerFilter::parse(text, 1000).ok();
        assert_eq!(read("status=exited"), Some(ContainerFilter::Status("exited".into())));
        assert_eq!(read("until=10s"), Some(ContainerFilter::Until(990)));
        assert_eq!(read("label=a=b"), Some(ContainerFilter::Label("a".into(), Some("b".into()))));
        for wrong in ["", "status", "status=nope", "nope=1", "exited=x", "until=never", "name=["] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
