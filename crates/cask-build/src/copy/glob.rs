//! Patterns of sources: Go's `filepath.Match` and `filepath.Glob`, and `**` for any number of directories.

use std::os::unix::ffi::OsStrExt;

use cask_rootfs::Kind;

use crate::view::{Resolution, Walker, join};
use crate::{Error, ErrorKind, Result};

/// The most paths that one pattern may match.
const MAX_MATCHES: usize = 1_000_000;

/// A pattern of one name.
#[derive(Debug, PartialEq, Eq)]
struct Pattern(Vec<Part>);

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Literal(char),
    Any,
    Class { ranges: Vec<(char, char)>, is_negated: bool },
    Star,
}

/// Whether a text is a pattern, and not just a name.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

/// The paths that a cleaned pattern matches, sorted. They are not resolved.
///
/// If it crosses directories, `**` between slashes is each directory below and what it stands in itself, as in
/// buildah; links are not followed for it. BuildKit has that for `--parents` and in ignore files, and takes it for
/// `*` elsewhere.
pub(super) fn expand(walker: &mut Walker, pattern: &str, crosses: bool) -> Result<Vec<Vec<u8>>> {
    let mut found: Vec<Vec<u8>> = vec![Vec::new()];
    for component in pattern.split('/').filter(|component| !component.is_empty()) {
        let mut next = Vec::new();
        if crosses && component == "**" {
            for path in found {
                directories(walker, path, pattern, &mut next)?;
            }
            next.sort();
            next.dedup();
            found = next;
            continue;
        }
        let compiled = match is_pattern(component) {
            true => Some(Pattern::parse(component).ok_or_else(|| {
                Error::new(ErrorKind::Invalid, format!("{pattern:?}"), "syntax error in pattern")
            })?),
            false => None,
        };
        for path in found {
            let Some(compiled) = &compiled else {
                let path = join(&path, component.as_bytes());
                if lead(walker, &path, false)?.is_some() {
                    next.push(path);
                }
                continue;
            };
            let Some(directory) = lead(walker, &path, true)? else { continue };
            for name in walker.names(&directory)?.unwrap_or_default() {
                if compiled.matches(&String::from_utf8_lossy(name.as_bytes())) {
                    next.push(join(&path, name.as_bytes()));
                }
            }
            check_number(&next, pattern)?;
        }
        found = next;
    }
    found.sort();
    Ok(found)
}

/// A directory and all that are in it, at any depth.
fn directories(
    walker: &mut Walker,
    path: Vec<u8>,
    pattern: &str,
    found: &mut Vec<Vec<u8>>,
) -> Result<()> {
    let mut left = vec![path];
    while let Some(path) = left.pop() {
        let Some(directory) = lead(walker, &path, true)? else { continue };
        let Some(names) = walker.names(&directory)? else { continue };
        for name in names {
            let child = join(&directory, name.as_bytes());
            if walker.node(&child)?.is_some_and(|node| node.kind == Kind::Directory) {
                left.push(join(&path, name.as_bytes()));
            }
        }
        found.push(path);
        check_number(found, pattern)?;
    }
    Ok(())
}

fn check_number(found: &[Vec<u8>], pattern: &str) -> Result<()> {
    if found.len() > MAX_MATCHES {
        let detail = format!("matches more than {MAX_MATCHES} files");
        return Err(Error::new(ErrorKind::Limit, format!("{pattern:?}"), detail));
    }
    Ok(())
}

/// Where a path leads; nowhere also for links in a circle, which a pattern does not match.
fn lead(walker: &mut Walker, path: &[u8], follow_last: bool) -> Result<Option<Vec<u8>>> {
    match walker.resolve(path, follow_last) {
        Ok(Resolution::Found(found)) => Ok(Some(found)),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == ErrorKind::Invalid => Ok(None),
        Err(error) => Err(error),
    }
}

impl Pattern {
    /// Reads a pattern; `None` where a bracket or an escape is open.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            parts.push(match c {
                '*' => Part::Star,
                '?' => Part::Any,
                '\\' => Part::Literal(chars.next()?),
                '[' => class(&mut chars)?,
                c => Part::Literal(c),
            });
        }
        Some(Self(parts))
    }

    /// In time of the product of both lengths.
    fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut part, mut at) = (0, 0);
        // The last star, and where what it matches ends.
        let mut star: Option<(usize, usize)> = None;
        while at < name.len() {
            match self.0.get(part) {
                Some(Part::Star) => {
                    star = Some((part, at));
                    part += 1;
                }
                Some(one) if one.matches(name[at]) => {
                    part += 1;
                    at += 1;
                }
                _ => {
                    let Some((last, end)) = star else { return false };
                    star = Some((last, end + 1));
                    (part, at) = (last + 1, end + 1);
                }
            }
        }
        self.0[part..].iter().all(|part| *part == Part::Star)
    }
}

impl Part {
    fn matches(&self, c: char) -> bool {
        match self {
            Self::Literal(literal) => *literal == c,
            Self::Any => true,
            Self::Class { ranges, is_negated } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *is_negated
            }
            Self::Star => false,
        }
    }
}

/// The rest of `[…]`: at least one range; `-` and `]` are escaped.
fn class(chars: &mut std::str::Chars<'_>) -> Option<Part> {
    let mut peek = chars.clone();
    let is_negated = peek.next() == Some('^');
    if is_negated {
        *chars = peek;
    }
    let mut ranges = Vec::new();
    loop {
        let first = chars.next()?;
        if first == ']' && !ranges.is_empty() {
            return Some(Part::Class { ranges, is_negated });
        }
        let low = member(first, chars)?;
        let mut high = low;
        let mut peek = chars.clone();
        if peek.next() == Some('-') {
            *chars = peek;
            let last = chars.next()?;
            high = member(last, chars)?;
        }
        ranges.push((low, high));
    }
}

fn member(first: char, chars: &mut std::str::Chars<'_>) -> Option<char> {
    match first {
        '-' | ']' => None,
        '\\' => chars.next(),
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of Go's `path/filepath/match_test.go`.
    #[test]
    fn names_match_as_in_go() {
        fn check(pattern: &str, name: &str, expected: Option<bool>) {
            let found = Pattern::parse(pattern).map(|pattern| pattern.matches(name));
            assert_eq!(found, expected, "{pattern} {name}");
        }
        check("abc", "abc", Some(true));
        check("*", "abc", Some(true));
        check("*c", "abc", Some(true));
        check("a*", "a", Some(true));
        check("a*", "abc", Some(true));
        check("a*b*c*d*e*", "axbxcxdxe", Some(true));
        check("a*b*c*d*e*", "axbxcxdxexxx", Some(true));
        check("a*b?c*x", "abxbbxdbxebxczzx", Some(true));
        check("a*b?c*x", "abxbbxdbxebxczzy", Some(false));
        check("ab[c]", "abc", Some(true));
        check("ab[b-d]", "abc", Some(true));
        check("ab[e-g]", "abc", Some(false));
        check("ab[^c]", "abc", Some(false));
        check("ab[^e-g]", "abc", Some(true));
        check("a\\*b", "a*b", Some(true));
        check("a\\*b", "ab", Some(false));
        check("a?b", "a☺b", Some(true));
        check("a[^a]b", "a☺b", Some(true));
        check("[\\]a]", "]", Some(true));
        check("[\\-]", "-", Some(true));
        check("[x\\-]", "z", Some(false));
        check("[[]", "[", Some(true));
        check("[]a]", "]", None);
        check("[-]", "-", None);
        check("[x-]", "x", None);
        check("[-x]", "x", None);
        check("\\", "a", None);
        check("[a-b-c]", "a", None);
        check("[", "a", None);
        check("[^", "a", None);
        check("a[", "ab", None);
        check("*x", "xxx", Some(true));
        check(".*", "x", Some(false));
        check("*", ".x", Some(true));
    }
}
