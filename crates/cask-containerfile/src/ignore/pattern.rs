//! One pattern.

/// What a part of a pattern matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// This character.
    Literal(char),
    /// Any character but `/`.
    Any,
    /// Any of the ranges, or any of none of them.
    Class { ranges: Vec<(char, char)>, is_negated: bool },
    /// Any number of characters but `/`.
    Star,
    /// Nothing, or anything with a `/` behind it.
    Directories,
    /// Anything.
    Everything,
}

/// How a pattern is matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Matcher {
    /// The path is the pattern.
    Exact,
    /// The path begins with what is before the two stars at its end.
    Prefix,
    /// The path ends with what is behind the two stars at its beginning, or is it without its `/`.
    Suffix,
    /// The path is made of these.
    Parts(Vec<Part>),
}

impl Matcher {
    /// Reads a cleaned pattern; `None` if a bracket or an escape in it is open, or a range ends
    /// before it begins.
    pub(super) fn parse(pattern: &str) -> Option<Self> {
        if !pattern.contains(['*', '?', '[', '\\']) {
            return Some(Self::Exact);
        }
        let mut parts = Vec::new();
        // Without any special part, and with nothing but `**` at the beginning or the end.
        let (mut is_plain, mut leads, mut trails) = (true, false, false);
        let mut chars = pattern.chars().peekable();
        let mut is_first = true;
        while let Some(c) = chars.next() {
            match c {
                '*' if chars.peek() == Some(&'*') => {
                    chars.next();
                    chars.next_if_eq(&'/');
                    let is_last = chars.peek().is_none();
                    parts.push(if is_last { Part::Everything } else { Part::Directories });
                    match (is_first, is_last) {
                        (true, _) => leads = true,
                        (false, true) if is_plain && !leads => trails = true,
                        _ => is_plain = false,
                    }
                }
                '*' => {
                    parts.push(Part::Star);
                    is_plain = false;
                }
                '?' => {
                    parts.push(Part::Any);
                    is_plain = false;
                }
                '[' => {
                    parts.push(class(&mut chars)?);
                    is_plain = false;
                }
                '\\' => {
                    parts.push(Part::Literal(chars.next()?));
                    is_plain = false;
                }
                c => parts.push(Part::Literal(c)),
            }
            is_first = false;
        }
        Some(match (is_plain, leads, trails) {
            (true, false, false) => Self::Exact,
            (true, true, _) => Self::Suffix,
            (true, false, true) => Self::Prefix,
            (false, ..) => Self::Parts(parts),
        })
    }

    /// How much of a path matches the pattern that this was read of: all of it, else the first of its `parents`, which
    /// end there. `None` is nothing.
    pub(super) fn matches(&self, pattern: &str, path: &str, parents: &[usize]) -> Option<usize> {
        let first_of = |matches: &dyn Fn(&str) -> bool| match matches(path) {
            true => Some(path.len()),
            false => parents.iter().copied().find(|at| matches(&path[..*at])),
        };
        match self {
            Self::Exact => first_of(&|path| path == pattern),
            Self::Prefix => first_of(&|path| path.starts_with(&pattern[..pattern.len() - 2])),
            Self::Suffix => {
                let text = &pattern[2..];
                let end = text.strip_prefix('/');
                first_of(&|path| path.ends_with(text) || end == Some(path))
            }
            Self::Parts(parts) => {
                // One run tells of all parents.
                let (mut all, mut first) = (None, None);
                run(parts, path, |end| match path.as_bytes().get(end) {
                    None => all = Some(end),
                    Some(b'/') => first = first.or(Some(end)),
                    Some(_) => {}
                });
                all.or(first)
            }
        }
    }
}

/// The rest of `[…]`. It has at least one range, and `-` and `]` are escaped in it.
fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Part> {
    let is_negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && chars.next_if_eq(&']').is_some() {
            return Some(Part::Class { ranges, is_negated });
        }
        let mut member = || match chars.next()? {
            '-' | ']' => None,
            '\\' => chars.next(),
            c => Some(c),
        };
        let low = member()?;
        let high = if chars.next_if_eq(&'-').is_some() {
            match chars.next()? {
                '-' | ']' => return None,
                '\\' => chars.next()?,
                c => c,
            }
        } else {
            low
        };
        if high < low {
            return None;
        }
        ranges.push((low, high));
        // A member is never the last character.
        chars.peek()?;
    }
}

/// A pattern of Go's `path.Match`, in which `**` is nothing special.
pub(crate) struct PathPattern(Vec<Part>);

impl PathPattern {
    /// Reads a pattern; `None` if a bracket or an escape in it is open.
    pub(crate) fn parse(pattern: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            parts.push(match c {
                '*' => Part::Star,
                '?' => Part::Any,
                '[' => class(&mut chars)?,
                '\\' => Part::Literal(chars.next()?),
                c => Part::Literal(c),
            });
        }
        Some(Self(parts))
    }

    /// Where the beginnings of a text end that match, in bytes, in order.
    pub(crate) fn ends(&self, text: &str) -> Vec<usize> {
        let mut ends = Vec::new();
        run(&self.0, text, |at| ends.push(at));
        ends
    }
}

/// Tells every place up to which a path is made of the parts: in time of their product, with no
/// going back.
fn run(parts: &[Part], path: &str, mut found: impl FnMut(usize)) {
    // Of each part, whether the path up to here leads to its beginning, and into it.
    let mut states = vec![(false, false); parts.len() + 1];
    let mut next = states.clone();
    states[0].0 = true;
    close(parts, &mut states);
    if states[parts.len()].0 {
        found(0);
    }
    for (at, c) in path.char_indices() {
        let end = at + c.len_utf8();
        next.fill((false, false));
        for (at, part) in parts.iter().enumerate().filter(|(at, _)| states[*at].0 || states[*at].1)
        {
            match part {
                Part::Literal(literal) => next[at + 1].0 |= *literal == c,
                Part::Any => next[at + 1].0 |= c != '/',
                Part::Class { ranges, is_negated } => {
                    let is_in = ranges.iter().any(|(low, high)| *low <= c && c <= *high);
                    next[at + 1].0 |= is_in != *is_negated;
                }
                Part::Star => next[at].0 |= c != '/',
                Part::Everything => next[at].0 |= c != '\n',
                Part::Directories => {
                    next[at].1 |= c != '\n';
                    next[at + 1].0 |= c == '/';
                }
            }
        }
        std::mem::swap(&mut states, &mut next);
        if states.iter().all(|state| *state == (false, false)) {
            return;
        }
        close(parts, &mut states);
        if states[parts.len()].0 {
            found(end);
        }
    }
}

/// Goes over the parts that may match nothing.
fn close(parts: &[Part], states: &mut [(bool, bool)]) {
    for (at, part) in parts.iter().enumerate() {
        let is_optional = matches!(part, Part::Star | Part::Everything | Part::Directories);
        if states[at].0 && is_optional {
            states[at + 1].0 = true;
        }
    }
}
