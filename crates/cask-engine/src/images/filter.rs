//! Which images are listed.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use cask_image::{MediaType, Timestamp};
use cask_reference::Pattern;
use cask_storage::{Id, Image};

use super::find::parse;
use crate::moment::whole_time;
use crate::{Error, ErrorKind, Images, Relations, Result};

/// One condition on images.
///
/// Source: containers/common, `libimage/filters.go`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Filter {
    /// `before=IMAGE`: made before that one.
    Before(String),
    /// `since=IMAGE` or `after=IMAGE`: made after that one.
    Since(String),
    /// `until=TIME`: made before that moment, in seconds since 1970.
    Until(i64),
    /// `containers=true|false`: whether containers were made from it.
    Containers(bool),
    /// `dangling=true|false`: whether it has no name and nothing was built on it.
    Dangling(bool),
    /// `intermediate=true|false`: whether it has no name and something was built on it.
    Intermediate(bool),
    /// `digest=PREFIX`: the beginning of a digest of one of its manifests.
    Digest(String),
    /// `id=PREFIX`: the beginning of its ID.
    Id(String),
    /// `label=KEY` or `label=KEY=VALUE`.
    Label(String),
    /// `label!=KEY` or `label!=KEY=VALUE`.
    NoLabel(String),
    /// `manifest=true|false`: whether it is a list.
    Manifest(bool),
    /// `readonly=true|false`: whether it is in an additional store.
    ReadOnly(bool),
    /// `reference=PATTERN`: a name, a part of one, or a pattern for these.
    Reference(String),
}

impl Filter {
    /// Parses `key=value`; `now` is the moment from which a duration counts, in seconds since 1970.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`], in podman's words.
    pub fn parse(text: &str, now: i64) -> Result<Self> {
        let invalid = |detail: String| Err(Error::new(ErrorKind::Invalid, "", detail));
        // `label!=x` has its own key.
        let Some((key, value)) = text.split_once('=') else {
            return invalid(format!(
                "invalid image filter {text:?}: must be in the format \"filter=value or \
                 filter!=value\""
            ));
        };
        let value = value.to_owned();
        let truth = || {
            cask_config::truth(&value).ok_or_else(|| {
                let words = format!("non-boolean value {value:?} for {key} filter");
                Error::new(ErrorKind::Invalid, "", words)
            })
        };
        Ok(match key {
            "before" => Self::Before(value),
            "since" | "after" => Self::Since(value),
            "until" => Self::Until(parse_moment(&value, now)?),
            "containers" => Self::Containers(truth()?),
            "dangling" => Self::Dangling(truth()?),
            "intermediate" => Self::Intermediate(truth()?),
            "digest" => Self::Digest(value),
            "id" => Self::Id(value),
            "label" => Self::Label(value),
            "label!" => Self::NoLabel(value),
            "manifest" => Self::Manifest(truth()?),
            "readonly" => Self::ReadOnly(truth()?),
            "reference" => Self::Reference(value),
            _ => return invalid(format!("unsupported image filter {key:?}")),
        })
    }

    /// What an image is or is not by this filter; [`Filter::Intermediate`] is also what lists leave out.
    fn truth(&self) -> Option<(&'static str, bool)> {
        match self {
            Self::Containers(truth) => Some(("containers", *truth)),
            Self::Dangling(truth) => Some(("dangling", *truth)),
            Self::Manifest(truth) => Some(("manifest", *truth)),
            Self::ReadOnly(truth) => Some(("readonly", *truth)),
            _ => None,
        }
    }

    /// What filters of which one has to fit share.
    fn key(&self) -> u8 {
        match self {
            Self::Before(_) => 0,
            Self::Since(_) => 1,
            Self::Until(_) => 2,
            Self::Containers(_) => 3,
            Self::Dangling(_) => 4,
            Self::Intermediate(_) => 5,
            Self::Digest(_) => 6,
            Self::Id(_) => 7,
            Self::Label(_) => 8,
            Self::NoLabel(_) => 9,
            Self::Manifest(_) => 10,
            Self::ReadOnly(_) => 11,
            Self::Reference(_) => 12,
        }
    }
}

/// Reads a moment: RFC 3339, also with the comma of `date --iso-8601=ns`, also without seconds, minutes, hours or the
/// zone, which is the machine's then; seconds since 1970; or how long before `now`, which is in seconds since 1970; a
/// duration with a minus is that long after it.
///
/// # Errors
/// [`ErrorKind::Invalid`].
pub fn parse_moment(text: &str, now: i64) -> Result<i64> {
    if let Some(time) = whole_time(text) {
        return Ok(time.unix_seconds());
    }
    let whole = match text.split_once('.') {
        Some((whole, part))
            if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            whole
        }
        _ => text,
    };
    if let Ok(seconds) = whole.parse::<i64>() {
        return Ok(seconds);
    }
    match ago(text) {
        Some(seconds) => Ok(now - seconds),
        None => Err(Error::new(
            ErrorKind::Invalid,
            "",
            format!("failed to parse value as time or duration: {text:?}"),
        )
        .with_hint("times are such as 2026-01-31T12:00:00Z, 1769860800 or 24h")),
    }
}

/// The whole seconds of a duration such as `1h30m`.
///
/// Source: Go, `time.ParseDuration`.
fn ago(text: &str) -> Option<i64> {
    let mut seconds = 0.0_f64;
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1.0, text),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|symbol: char| !symbol.is_ascii_digit() && symbol != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let unit_end = rest[end..].find(|symbol: char| symbol.is_ascii_digit());
        let unit_end = unit_end.map_or(rest.len(), |length| end + length);
        let unit = match &rest[end..unit_end] {
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += number * unit;
        rest = &rest[unit_end..];
    }
    #[expect(clippy::cast_possible_truncation, reason = "a float is cut at the ends of the range")]
    (!text.is_empty()).then_some((seconds * sign) as i64)
}

/// Filters, with what they need to know.
pub(super) struct Matcher<'i> {
    images: &'i Images,
    /// Of the filters in one group one has to fit; all groups have to.
    groups: BTreeMap<u8, Vec<Ready>>,
    /// Looked at once an image has no name: most have one.
    relations: OnceCell<Relations<'i>>,
}

/// A filter with what it names looked up.
enum Ready {
    Plain(Filter),
    Before(Option<Timestamp>),
    Since(Option<Timestamp>),
    Reference { pattern: Pattern, named: Option<Id> },
}

impl<'i> Matcher<'i> {
    pub(super) fn new(images: &'i Images, filters: &[Filter]) -> Result<Self> {
        check_truths(filters)?;
        let mut groups: BTreeMap<u8, Vec<Ready>> = BTreeMap::new();
        for filter in filters {
            let ready = match filter {
                Filter::Before(name) => Ready::Before(created(images, "before", name)?),
                Filter::Since(name) => Ready::Since(created(images, "since", name)?),
                Filter::Reference(text) => Ready::Reference {
                    pattern: text.parse().map_err(|error| {
                        Error::new(ErrorKind::Invalid, text, "").with_source(error)
                    })?,
                    named: images.find(text).ok().map(|found| found.image.id.clone()),
                },
                other => Ready::Plain(other.clone()),
            };
            groups.entry(filter.key()).or_default().push(ready);
        }
        Ok(Self { images, groups, relations: OnceCell::new() })
    }

    pub(super) fn matches(&self, image: &Image, containers: usize) -> Result<bool> {
        for group in self.groups.values() {
            let mut fits = false;
            for filter in group {
                fits = fits || self.fits(filter, image, containers)?;
            }
            if !fits {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn fits(&self, filter: &Ready, image: &Image, containers: usize) -> Result<bool> {
        let filter = match filter {
            Ready::Before(time) => return Ok(moment_of(image.created) < moment_of(*time)),
            Ready::Since(time) => return Ok(moment_of(image.created) > moment_of(*time)),
            Ready::Reference { pattern, named } => {
                return Ok(named.as_ref() == Some(&image.id) || has_name(image, pattern));
            }
            Ready::Plain(filter) => filter,
        };
        Ok(match filter {
            Filter::Until(time) => moment_of(image.created) < Some((*time, 0)),
            Filter::Containers(wanted) => (containers > 0) == *wanted,
            // Most images have a name, and nothing of them needs to be read.
            Filter::Dangling(wanted) => self.is(image, Relations::is_dangling)? == *wanted,
            Filter::Intermediate(wanted) => self.is(image, Relations::is_intermediate)? == *wanted,
            Filter::Digest(prefix) => {
                image.digests().iter().any(|digest| digest.as_str().starts_with(prefix.as_str()))
            }
            Filter::Id(prefix) => image.id.as_str().starts_with(prefix.as_str()),
            Filter::Label(label) => self.has_label(image, label)?,
            Filter::NoLabel(label) => !self.has_label(image, label)?,
            Filter::Manifest(wanted) => self.is_list(image)? == *wanted,
            Filter::ReadOnly(wanted) => image.is_read_only() == *wanted,
            Filter::Before(_) | Filter::Since(_) | Filter::Reference(_) => {
                unreachable!("these were looked up")
            }
        })
    }

    fn is(
        &self,
        image: &Image,
        question: fn(&Relations<'i>, &Image) -> Result<bool>,
    ) -> Result<bool> {
        if !image.names.is_empty() {
            return Ok(false);
        }
        if let Some(relations) = self.relations.get() {
            return question(relations, image);
        }
        let relations = self.images.relations()?;
        question(self.relations.get_or_init(|| relations), image)
    }

    fn has_label(&self, image: &Image, wanted: &str) -> Result<bool> {
        let Some(config) = self.images.config(image)? else { return Ok(false) };
        let (key, value) = match wanted.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (wanted, None),
        };
        let found = config.config.labels.get(key);
        Ok(found.is_some_and(|found| value.is_none_or(|value| found == value)))
    }

    fn is_list(&self, image: &Image) -> Result<bool> {
        if image.top_layer.is_some() {
            return Ok(false);
        }
        let (raw, _) = self.images.manifest(image)?;
        Ok(matches!(raw.media_type(), MediaType::OciIndex | MediaType::DockerManifestList))
    }
}

/// Refuses what no image fits, and no two were meant by.
///
/// Source: containers/common, `libimage/filters.go`, `compileImageFilters`.
fn check_truths(filters: &[Filter]) -> Result<()> {
    for (position, filter) in filters.iter().enumerate() {
        let Some((key, truth)) = filter.truth() else { continue };
        let mut said = filters[..position].iter().filter_map(Filter::truth);
        if said.any(|(other, said)| other == key && said != truth) {
            let detail = format!(
                "specifying {key:?} filter more than once with different values is not supported"
            );
            return Err(Error::new(ErrorKind::Invalid, "", detail));
        }
    }
    Ok(())
}

/// When the image was made that a filter names.
fn created(images: &Images, key: &str, name: &str) -> Result<Option<Timestamp>> {
    images.find(name).map(|found| found.image.created).map_err(|error| {
        let detail = format!("could not find local image for filter {key:?}={name:?}");
        Error::new(error.kind(), "", detail).with_source(error)
    })
}

fn moment_of(time: Option<Timestamp>) -> Option<(i64, u32)> {
    time.map(|time| (time.unix_seconds(), time.nanoseconds()))
}

/// Whether a name of an image, or a part of one, fits a pattern.
fn has_name(image: &Image, pattern: &Pattern) -> bool {
    image.names.iter().any(|name| {
        let Some(reference) = parse(name) else { return pattern.matches(name) };
        let whole = reference.to_string();
        let (repository, path) = (reference.name(), reference.path());
        let selector = &whole[repository.len()..];
        let last = |text: &str| text.rsplit('/').next().unwrap_or_default().to_owned();
        let parts = [
            whole.clone(),
            path.to_owned(),
            last(&whole),
            repository.to_owned(),
            format!("{path}{selector}"),
            last(repository),
        ];
        parts.iter().any(|part| pattern.matches(part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_parsed_in_podman_s_words() {
        let check = |text: &str, expected: Filter| {
            assert_eq!(Filter::parse(text, 100_000).unwrap(), expected, "{text}");
        };
        check("dangling=true", Filter::Dangling(true));
        check("after=x:1", Filter::Since("x:1".into()));
        check("label=a=b", Filter::Label("a=b".into()));
        check("label!=a", Filter::NoLabel("a".into()));
        check("until=1h30m", Filter::Until(100_000 - 5400));
        check("until=77", Filter::Until(77));
        check("until=1970-01-02Z", Filter::Until(86_400));
        check("until=1970-01-01T00:01:00Z", Filter::Until(60));
        let refused = |text: &str, expected: &str| {
            assert_eq!(Filter::parse(text, 0).unwrap_err().to_string(), expected, "{text}");
        };
        refused("bad=1", "unsupported image filter \"bad\"");
        refused("dangling=x", "non-boolean value \"x\" for dangling filter");
        refused("until=soon", "failed to parse value as time or duration: \"soon\"");
        refused(
            "x",
            "invalid image filter \"x\": must be in the format \"filter=value or filter!=value\"",
        );
    }
}
