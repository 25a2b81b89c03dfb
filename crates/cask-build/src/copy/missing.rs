//! What is said of a source that is not there.

use crate::context::Context;
use crate::view::{Resolution, Walker, join, parent_and_name, shown};
use crate::{Error, ErrorKind};

/// How many names are given for a wrong one.
const NEAREST: usize = 3;

/// How many entries of a directory are compared.
const COMPARED: usize = 10_000;

/// Why a source cannot be copied: hidden, a link that leads nowhere, or not there.
pub(super) fn missing(context: &Context, walker: &mut Walker, path: &[u8]) -> Error {
    let text = String::from_utf8_lossy(path);
    if let Some(ignored) = context.ignored(&text) {
        // The last words are buildah's for all that a copy does not find.
        let detail =
            format!("not found in {}: it is {ignored}: no such file or directory", context.name());
        let hint = format!("add !{text} behind that line, or take the line out");
        return Error::new(ErrorKind::Missing, shown(path), detail).with_hint(hint);
    }
    let (found, is_dangling) = match walker.resolve(path, true) {
        Ok(Resolution::Found(found)) => (found, false),
        Ok(Resolution::Missing(found)) => {
            let is_link = matches!(walker.resolve(path, false), Ok(Resolution::Found(_)));
            (found, is_link)
        }
        Ok(Resolution::Blocked(at)) => {
            let detail = format!("not found in {}: {} is no directory", context.name(), shown(&at));
            return Error::new(ErrorKind::Missing, shown(path), detail);
        }
        Err(error) => return error,
    };
    if let Some(ignored) = context.ignored(&String::from_utf8_lossy(&found)) {
        let detail = format!(
            "not found in {}: it leads to {}, {ignored}: no such file or directory",
            context.name(),
            shown(&found)
        );
        return Error::new(ErrorKind::Missing, shown(path), detail);
    }
    if is_dangling {
        let detail = format!(
            "not found in {}: it is a symbolic link to {}, where nothing is (no such file or \
             directory)",
            context.name(),
            shown(&found)
        );
        return Error::new(ErrorKind::Missing, shown(path), detail)
            .with_hint("links of a context lead nowhere but into the context");
    }
    let detail = format!("not found in {}: no such file or directory", context.name());
    let error = Error::new(ErrorKind::Missing, shown(path), detail);
    let names = nearest(context, walker, path);
    match names.is_empty() {
        true => error,
        false => error.with_hint(format!("did you mean {}?", names.join(", "))),
    }
}

/// The names of the same directory that differ least.
fn nearest(context: &Context, walker: &mut Walker, path: &[u8]) -> Vec<String> {
    let (parent, name) = parent_and_name(path);
    let Ok(Resolution::Found(directory)) = walker.resolve(parent, true) else { return Vec::new() };
    let Ok(Some(names)) = walker.names(&directory) else { return Vec::new() };
    let name = String::from_utf8_lossy(name).to_lowercase();
    let limit = (name.chars().count() / 3).clamp(1, 3);
    let mut near: Vec<(usize, String)> = Vec::new();
    for other in names.iter().take(COMPARED) {
        let other = other.to_string_lossy();
        let distance = distance(&name, &other.to_lowercase(), limit);
        let path = join(parent, other.as_bytes());
        let path = String::from_utf8_lossy(&path).into_owned();
        if distance <= limit && context.ignored(&path).is_none() {
            near.push((distance, path));
        }
    }
    near.sort();
    near.into_iter().take(NEAREST).map(|(_, path)| path).collect()
}

/// The edit distance, or something above `limit`.
fn distance(one: &str, other: &str, limit: usize) -> usize {
    let other: Vec<char> = other.chars().collect();
    if one.chars().count().abs_diff(other.len()) > limit || other.len() > 255 {
        return limit + 1;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}
