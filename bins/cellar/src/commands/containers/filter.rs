//! Filters of volumes and networks: what both understand.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use cask_engine::parse_expression;
use cask_image::Timestamp;

use crate::moment;

/// The values of each key: of several values of one key one has to fit, of labels all.
pub(super) fn by_key(filters: &[String]) -> Result<BTreeMap<&str, Vec<&str>>> {
    let mut keys: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for filter in filters {
        let (key, value) = pair(filter)?;
        keys.entry(key).or_default().push(value);
    }
    Ok(keys)
}

/// A check of whether a text has one of these expressions in it.
pub(super) fn expressions(key: &str, values: &[&str]) -> Result<impl Fn(&str) -> bool + use<>> {
    let checks = values.iter().map(|value| parse_expression(key, value));
    let checks: Vec<_> = checks.collect::<Result<_, _>>()?;
    Ok(move |text: &str| checks.iter().any(|fits| fits(text)))
}

/// Whether something is to be so; several values may say both.
pub(super) fn truths(key: &str, values: &[&str]) -> Result<impl Fn(bool) -> bool + use<>> {
    let read = |value: &&str| match value.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => bail!("{value:?} is not a valid value for the {key:?} filter - must be true or false"),
    };
    let wanted: Vec<bool> = values.iter().map(read).collect::<Result<_>>()?;
    Ok(move |is_so| wanted.contains(&is_so))
}

/// The key and the value of a filter.
fn pair(filter: &str) -> Result<(&str, &str)> {
    filter.split_once('=').with_context(|| format!("invalid filter {filter:?}: it is KEY=VALUE"))
}

/// Whether all of these labels are there, as filters name them: `NAME`, or `NAME=VALUE`; a `*` in a name is any text.
///
/// Source: containers/common, `pkg/filters/filters.go`, `MatchLabelFilters`.
pub(super) fn has_labels(labels: &BTreeMap<String, String>, wanted: &[&str]) -> bool {
    wanted.iter().all(|wanted| {
        let (name, value) = wanted.split_once('=').unwrap_or((wanted, ""));
        let is_it = |(label, found): (&String, &String)| {
            (value.is_empty() || found == value) && (label == name || is_like(label, name))
        };
        labels.iter().any(is_it)
    })
}

/// Whether the parts of a text around each `*` stand in another one, one behind the other.
fn is_like(text: &str, pattern: &str) -> bool {
    let mut rest = Some(text).filter(|_| pattern.contains('*'));
    for part in pattern.split('*') {
        rest = rest.and_then(|rest| Some(rest.split_once(part)?.1));
    }
    rest.is_some()
}

/// A check of whether something was made before a moment: a time, or a duration until now.
pub(super) fn made_before(moment: &str) -> Result<impl Fn(&str) -> bool + use<>> {
    let until = cask_engine::parse_moment(moment, moment::now())?;
    Ok(move |created: &str| {
        created.parse::<Timestamp>().is_ok_and(|made| made.unix_seconds() < until)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_all_there_or_like_a_pattern() {
        let labels = [("hello", "world"), ("a.b", "")];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let check = |wanted: &[&str], expected: bool| {
            assert_eq!(has_labels(&labels, wanted), expected, "{wanted:?}");
        };
        check(&["hello"], true);
        check(&["hello=world", "a.b"], true);
        check(&["hello=world", "c"], false);
        check(&["hello=x"], false);
        check(&["hell"], false);
        check(&["hell*"], true);
        check(&["e*o=world"], true);
        check(&["o*h"], false);
    }
}
