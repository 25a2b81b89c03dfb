//! Which containers are listed.

use super::{Container, Containers};
use crate::{Error, ErrorKind, Result};

/// One condition of `ps --filter` and its like. Source: podman-ps(1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContainerFilter {
    /// The ID begins so.
    Id(String),
    /// The name has this in it; `^` and `$` tie it to the ends.
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
    /// It mounts this volume, or has one there.
    Volume(String),
    /// It is in this network.
    Network(String),
    /// It was made before this moment, in seconds since 1970.
    Until(i64),
    /// Its health: nothing checks it, so that only `none` fits.
    Health(String),
}

impl ContainerFilter {
    /// Reads `KEY=VALUE`; times that are durations count back from `now`, in seconds since 1970.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`].
    pub fn parse(text: &str, now: i64) -> Result<Self> {
        let refused = |why: &str| Error::new(ErrorKind::Invalid, format_args!("{text:?}"), why);
        let Some((key, value)) = text.split_once('=') else {
            return Err(refused("invalid filter: it is KEY=VALUE"));
        };
        let label = || match value.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (value.to_owned(), None),
        };
        let text = value.to_owned();
        Ok(match key {
            "id" => Self::Id(text),
            "name" => Self::Name(text),
            "status" => {
                let known = [
                    "created",
                    "initialized",
                    "running",
                    "paused",
                    "exited",
                    "stopped",
                    "removing",
                    "unknown",
                ];
                if !known.contains(&value) {
                    return Err(refused("not a valid status"));
                }
                Self::Status(text)
            }
            "exited" => match value.parse() {
                Ok(code) => Self::Exited(code),
                Err(_) => return Err(refused("exited code must be a number")),
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
            "since" | "after" => Self::Since(text),
            "volume" => Self::Volume(text),
            "network" => Self::Network(text),
            "until" => Self::Until(crate::parse_moment(value, now)?),
            "health" => Self::Health(text),
            _ => return Err(refused("invalid filter: no such key")),
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
        damaged: impl FnMut(Error),
    ) -> Result<Vec<Container>> {
        let mut found = self.all(damaged)?;
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
            ContainerFilter::Id(id) => Box::new(move |one| one.id().starts_with(&id)),
            ContainerFilter::Name(name) => Box::new(move |one| fits(&name, one.name())),
            ContainerFilter::Status(status) => {
                let status = if status == "stopped" { "exited".to_owned() } else { status };
                Box::new(move |one| one.state.status.as_str() == status)
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
                    one.config.image_id == id || one.config.image_name.contains(&image)
                })
            }
            ContainerFilter::Before(name) => {
                let than = created(&name)?;
                Box::new(move |one| moment(&one.config.created) < moment(&than))
            }
            ContainerFilter::Since(name) => {
                let than = created(&name)?;
                Box::new(move |one| moment(&one.config.created) > moment(&than))
            }
            ContainerFilter::Volume(volume) => Box::new(move |one| {
                let mut mounts = one.config.files.mounts.iter();
                mounts.any(|mount| mount.source == volume || mount.target.as_os_str() == &*volume)
            }),
            ContainerFilter::Network(network) => Box::new(move |one| {
                let mode = &one.config.network.mode;
                match mode {
                    super::NetworkMode::Bridge(_) => {
                        let mut all = one.config.network.attachments.iter();
                        all.any(|attachment| attachment.network == network)
                    }
                    other => other.to_string() == network,
                }
            }),
            ContainerFilter::Until(until) => {
                Box::new(move |one| moment(&one.config.created).is_some_and(|(at, _)| at < until))
            }
            ContainerFilter::Health(health) => Box::new(move |_| health == "none"),
        })
    }
}

type Test = Box<dyn Fn(&Container) -> bool>;

/// A moment, to be compared.
fn moment(text: &str) -> Option<(i64, u32)> {
    let time: cask_image::Timestamp = text.parse().ok()?;
    Some((time.unix_seconds(), time.nanoseconds()))
}

fn has_label(one: &Container, name: &str, value: Option<&str>) -> bool {
    one.config.labels.get(name).is_some_and(|found| value.is_none_or(|value| found == value))
}

/// A part of a name, with `^` and `$` for its ends.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, at_start) =
        pattern.strip_prefix('^').map_or((pattern, false), |rest| (rest, true));
    let (pattern, at_end) = pattern.strip_suffix('$').map_or((pattern, false), |rest| (rest, true));
    match (at_start, at_end) {
        (true, true) => name == pattern,
        (true, false) => name.starts_with(pattern),
        (false, true) => name.ends_with(pattern),
        (false, false) => name.contains(pattern),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_in_parts() {
        for (pattern, fitting) in [
            ("we", true),
            ("^we", true),
            ("^eb", false),
            ("eb$", true),
            ("^web$", true),
            ("^we$", false),
        ] {
            assert_eq!(fits(pattern, "web"), fitting, "{pattern}");
        }
    }

    #[test]
    fn filters_are_read_or_refused() {
        let read = |text: &str| ContainerFilter::parse(text, 1000).ok();
        assert_eq!(read("status=exited"), Some(ContainerFilter::Status("exited".into())));
        assert_eq!(read("until=10s"), Some(ContainerFilter::Until(990)));
        assert_eq!(read("label=a=b"), Some(ContainerFilter::Label("a".into(), Some("b".into()))));
        for wrong in ["", "status", "status=nope", "nope=1", "exited=x", "until=never"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
