//! Patterns for names, as `images` filters take them.

use std::fmt;
use std::str::FromStr;

use crate::digest::shortened;

/// A shell pattern for familiar names: `*` is anything but a slash, `?` one character but a slash,
/// `[a-z]` one of a class, `[^a-z]` one of all others, `\` takes the next character literally.
///
/// `**` is no more than `*`. A pattern matches the whole text or nothing, and matching takes at
/// most as many steps as the product of both lengths, whatever the pattern.
///
/// ```
/// use cask_reference::{Pattern, Reference};
///
/// let pattern: Pattern = "team/*:1.?".parse()?;
/// assert!("team/app:1.2".parse::<Reference>().unwrap().familiar_matches(&pattern));
/// assert!(!"team/app/web:1.2".parse::<Reference>().unwrap().familiar_matches(&pattern));
/// # Ok::<(), cask_reference::PatternError>(())
/// ```
///
/// Source: Go's `path.Match`, which `FamiliarMatch` of distribution/reference calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// In the order of the pattern: what each must match lies somewhere after what the one before
    /// it matched.
    chunks: Vec<Chunk>,
}

/// What follows a `*`, or the start of the pattern, up to the next `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Chunk {
    after_star: bool,
    atoms: Vec<Atom>,
}

/// What matches one character.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Atom {
    Character(char),
    AnyButSlash,
    /// A slash may be in a class, and is in most that are negated: so it is in Go.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Atom {
    fn matches(&self, c: char) -> bool {
        match self {
            Self::Character(expected) => c == *expected,
            Self::AnyButSlash => c != '/',
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

impl Chunk {
    /// What is left of the text after this chunk, if the text starts with it.
    fn strip<'t>(&self, text: &'t str) -> Option<&'t str> {
        let mut rest = text.chars();
        let matches = self.atoms.iter().all(|atom| rest.next().is_some_and(|c| atom.matches(c)));
        matches.then_some(rest.as_str())
    }

    /// What is left of the text after this chunk, at the first place where it can stand.
    fn find<'t>(&self, text: &'t str, is_last: bool) -> Option<&'t str> {
        let star_end = if self.after_star { text.find('/').unwrap_or(text.len()) } else { 0 };
        text.char_indices()
            .map(|(at, _)| at)
            .chain([text.len()])
            .take_while(|at| *at <= star_end)
            .find_map(|at| self.strip(&text[at..]).filter(|rest| !is_last || rest.is_empty()))
    }
}

impl Pattern {
    /// Tells whether the pattern matches the whole text.
    pub fn matches(&self, text: &str) -> bool {
        let mut rest = text;
        for (index, chunk) in self.chunks.iter().enumerate() {
            // The first place will do, as in Go: what follows a later place follows this one too,
            // unless a class consumed a slash in between.
            match chunk.find(rest, index + 1 == self.chunks.len()) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        rest.is_empty()
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    /// Parses a pattern.
    ///
    /// # Errors
    /// For a class that is empty or has no end, a range without an end, and a lone backslash at
    /// the end.
    fn from_str(text: &str) -> Result<Self, PatternError> {
        let mut rest = text;
        let mut chunks = Vec::new();
        let mut current = Chunk::default();
        while let Some(c) = rest.chars().next() {
            let atom = match c {
                '*' => {
                    rest = rest.trim_start_matches('*');
                    let next = Chunk { after_star: true, atoms: Vec::new() };
                    chunks.push(std::mem::replace(&mut current, next));
                    continue;
                }
                '?' => {
                    rest = &rest[1..];
                    Ok(Atom::AnyButSlash)
                }
                '[' => read_class(&mut rest),
                '\\' => read_escaped(&mut rest).map(Atom::Character),
                _ => {
                    rest = &rest[c.len_utf8()..];
                    Ok(Atom::Character(c))
                }
            };
            let offset = text.len() - rest.len();
            let atom = atom.map_err(|NoAtom| PatternError { input: text.into(), offset })?;
            current.atoms.push(atom);
        }
        chunks.push(current);
        Ok(Self { chunks })
    }
}

/// What is left of the pattern starts with something that cannot stand there.
struct NoAtom;

/// Reads a class, from its opening bracket to its closing one.
fn read_class(rest: &mut &str) -> Result<Atom, NoAtom> {
    *rest = &rest[1..];
    let negated = rest.starts_with('^');
    if negated {
        *rest = &rest[1..];
    }
    let mut ranges = Vec::new();
    while ranges.is_empty() || !rest.starts_with(']') {
        let low = read_bound(rest)?;
        let high = if rest.starts_with('-') {
            *rest = &rest[1..];
            read_bound(rest)?
        } else {
            low
        };
        ranges.push((low, high));
    }
    *rest = &rest[1..];
    Ok(Atom::Class { negated, ranges })
}

/// Reads an end of a range.
fn read_bound(rest: &mut &str) -> Result<char, NoAtom> {
    match rest.chars().next() {
        None | Some('-' | ']') => Err(NoAtom),
        Some('\\') => read_escaped(rest),
        Some(c) => {
            *rest = &rest[c.len_utf8()..];
            Ok(c)
        }
    }
}

/// Reads a backslash and what follows it.
fn read_escaped(rest: &mut &str) -> Result<char, NoAtom> {
    *rest = &rest[1..];
    let c = rest.chars().next().ok_or(NoAtom)?;
    *rest = &rest[c.len_utf8()..];
    Ok(c)
}

/// Why a text is not a [`Pattern`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    input: Box<str>,
    offset: usize,
}

impl PatternError {
    /// The text that was refused.
    pub fn input(&self) -> &str {
        &self.input
    }

    /// Where reading stopped, in bytes from the start.
    pub fn offset(&self) -> usize {
        self.offset
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { input, offset } = self;
        // The words of Go's package, which scripts search for.
        write!(f, "syntax error in pattern: {:?}, at byte {offset}", shortened(input, 160))
    }
}

impl std::error::Error for PatternError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_what_go_matches() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*", "a/c", false),
            ("*", "", true),
            ("**", "a", true),
            ("*c", "abc", true),
            ("*c", "abcc", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("a?b", "a/b", false),
            ("a*b", "a/b", false),
            ("a[^b]c", "a/c", true),
            ("[\\]a]", "]", true),
            ("[\\-]", "-", true),
            ("[x\\-]", "z", false),
            ("[\\-x]", "a", false),
            ("*x", "xxx", true),
            ("[[*]x", "*x", true),
            ("]", "]", true),
        ] {
            let parsed: Pattern = pattern.parse().unwrap();
            assert_eq!(parsed.matches(text), expected, "{pattern:?} {text:?}");
        }
    }

    #[test]
    fn a_malformed_pattern_is_refused_where_it_goes_wrong() {
        for (pattern, offset) in [
            ("[]a]", 1),
            ("[-]", 1),
            ("[x-]", 3),
            ("[-x]", 1),
            ("[a-b-c]", 4),
            ("[", 1),
            ("[^", 2),
            ("[^bc", 4),
            ("a[", 2),
            ("a[b", 3),
            ("[]*]", 1),
            ("é\\", 3),
        ] {
            let error = pattern.parse::<Pattern>().unwrap_err();
            assert_eq!(error.offset(), offset, "{pattern:?}");
            assert!(error.to_string().starts_with("syntax error in pattern"));
        }
    }

    #[test]
    fn many_stars_do_not_multiply() {
        let pattern: Pattern = "*a".repeat(2000).parse().unwrap();
        assert!(!pattern.matches(&"a".repeat(1999)));
        assert!(!pattern.matches(&format!("{}b", "a".repeat(4000))));
    }
}
