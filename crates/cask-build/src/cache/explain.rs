//! Why a step was done again.

use std::collections::BTreeMap;
use std::fmt;

use super::record::Record;
use crate::key::{KeyParts, Part};

/// The most files that a reason names.
const MAX_NAMED: usize = 5;

/// The longest value in a reason, in characters.
const MAX_VALUE: usize = 80;

/// Why a step was not found among the results of earlier builds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Miss {
    /// The reasons, the most telling first; at least one.
    pub reasons: Vec<String>,
}

impl Miss {
    pub(crate) fn because(reason: impl Into<String>) -> Self {
        Self { reasons: vec![reason.into()] }
    }

    /// The differences from the nearest of some earlier steps.
    pub(super) fn compared(parts: &KeyParts, candidates: &[Record]) -> Self {
        let distance = |record: &&Record| differing(&record.parts, parts.parts()).len();
        // The newest comes first, and wins among equals.
        let Some(nearest) = candidates.iter().min_by_key(distance) else {
            return Self::because("no earlier build has done this step");
        };
        let names = differing(&nearest.parts, parts.parts());
        let mut reasons = Vec::new();
        for name in names {
            match name {
                "files" => files(nearest, parts, &mut reasons),
                "parent" => reasons.push("what it builds on has other files".to_owned()),
                "date" => reasons.push("what it builds on has another date".to_owned()),
                name => reasons.push(sentence(name, &nearest.parts, parts.parts())),
            }
        }
        // Of a base that changed, the files say more than the date.
        if reasons.len() > 1 {
            reasons.retain(|reason| reason != "what it builds on has another date");
        }
        if reasons.is_empty() {
            reasons.push("its parts are in another order".to_owned());
        }
        Self { reasons }
    }
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, reason) in self.reasons.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            f.write_str(reason)?;
        }
        Ok(())
    }
}

fn values<'a>(parts: &'a [Part], name: &str) -> Vec<&'a str> {
    parts.iter().filter(|part| part.name == name).map(|part| part.value.as_str()).collect()
}

/// The names of the parts that differ, in the order of the new ones, those that are gone last.
fn differing<'a>(old: &'a [Part], new: &'a [Part]) -> Vec<&'a str> {
    let mut by_name: BTreeMap<&str, [Vec<&str>; 2]> = BTreeMap::new();
    for (side, parts) in [old, new].into_iter().enumerate() {
        for part in parts {
            by_name.entry(&part.name).or_default()[side].push(&part.value);
        }
    }
    let mut names = Vec::new();
    for part in new.iter().chain(old) {
        let [old, new] = &by_name[part.name.as_str()];
        if old != new && !names.contains(&part.name.as_str()) {
            names.push(part.name.as_str());
        }
    }
    names
}

fn shown(value: &str) -> String {
    let mut text: String = value.chars().take(MAX_VALUE).collect();
    if text.len() < value.len() {
        text.push('…');
    }
    text
}

fn sentence(name: &str, old: &[Part], new: &[Part]) -> String {
    let (old, new) = (values(old, name).join(", "), values(new, name).join(", "));
    match (old.as_str(), new.as_str()) {
        ("", new) => format!("{name} is new: {}", shown(new)),
        (old, "") => format!("{name} is gone: it was {}", shown(old)),
        (old, new) => format!("{name} changed from {} to {}", shown(old), shown(new)),
    }
}

/// Which files differ.
fn files(nearest: &Record, parts: &KeyParts, reasons: &mut Vec<String>) {
    let map = |parts: &[Part]| -> BTreeMap<String, String> {
        parts.iter().map(|part| (part.name.clone(), part.value.clone())).collect()
    };
    let (old, new) = (map(&nearest.details), map(parts.details()));
    let mut found = Vec::new();
    for (path, value) in &new {
        match old.get(path) {
            None if nearest.details_left_out == 0 => found.push(format!("{path} is new")),
            Some(before) if before != value => {
                found.push(format!("{path} changed{}", change(before, value)));
            }
            _ => {}
        }
    }
    if parts.details_left_out() == 0 {
        let gone = old.keys().filter(|path| !new.contains_key(*path));
        found.extend(gone.map(|path| format!("{path} is gone")));
    }
    let more = found.len().saturating_sub(MAX_NAMED);
    if found.is_empty() {
        found.push("a file among many changed".to_owned());
    }
    found.truncate(MAX_NAMED);
    if more > 0 {
        found.push(format!("and {more} more files"));
    }
    reasons.extend(found);
}

/// What of a file changed: the words of its description that differ, digests by name alone.
fn change(before: &str, after: &str) -> String {
    let (old, new) = (before.split(' '), after.split(' '));
    let pairs: Vec<(&str, &str)> = old.zip(new).filter(|(old, new)| old != new).collect();
    let words = pairs.iter().map(|(old, new)| match old.starts_with("sha256:") {
        true => "its contents".to_owned(),
        false => format!("{old} to {new}"),
    });
    match pairs.is_empty() {
        true => String::new(),
        false => format!(" ({})", words.collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(all: &[(&str, &str)], details: &[(&str, &str)]) -> KeyParts {
        let mut parts = KeyParts::new("COPY");
        for (name, value) in all {
            parts.add(*name, value);
        }
        for (name, value) in details {
            parts.detail(*name, *value);
        }
        parts
    }

    #[test]
    fn the_nearest_step_says_what_differs() {
        let check = |old: &[&KeyParts], new: &KeyParts, expected: &str| {
            let records: Vec<Record> =
                old.iter().map(|parts| Record::new(parts, None, None)).collect();
            assert_eq!(Miss::compared(new, &records).to_string(), expected);
        };
        let new = parts(&[("argument A", "2"), ("network", "host")], &[]);
        check(&[], &new, "no earlier build has done this step");
        let near = parts(&[("argument A", "1"), ("network", "host")], &[]);
        let far = parts(&[("argument A", "3"), ("network", "none")], &[]);
        check(&[&far, &near], &new, "argument A changed from 1 to 2");
        let less = parts(&[("network", "host")], &[]);
        check(&[&less], &new, "argument A is new: 2");
        check(&[&new], &less, "argument A is gone: it was 2");
    }

    #[test]
    fn files_are_named_with_what_changed() {
        let old = parts(
            &[("files", "sha256:1")],
            &[("a", "file 644 0:0 sha256:1"), ("b", "file 644 0:0 sha256:2"), ("c", "directory")],
        );
        let new = parts(
            &[("files", "sha256:2")],
            &[("a", "file 755 0:0 sha256:9"), ("b", "file 644 0:0 sha256:2"), ("d", "directory")],
        );
        let miss = Miss::compared(&new, &[Record::new(&old, None, None)]);
        let expected = ["a changed (644 to 755, its contents)", "d is new", "c is gone"];
        assert_eq!(miss.reasons, expected);
    }
}
