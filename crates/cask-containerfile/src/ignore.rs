//! Ignore files: what of a context a build does not see.

mod pattern;

use std::borrow::Cow;
use std::fmt;

use crate::span::Span;
use pattern::Matcher;
pub(crate) use pattern::PathPattern;

/// A rule of an ignore file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IgnoreRule {
    /// The pattern, cleaned, without `!`.
    pub pattern: String,
    /// Whether what matches is kept: the line begins with `!`.
    pub is_exception: bool,
    /// The line of the file, from 1; 0 where the rule is from no file.
    pub line: usize,
    /// Where the line is in the file.
    pub span: Span,
    matcher: Matcher,
}

impl IgnoreRule {
    /// Whether it may match something in a directory that it does not match itself.
    fn may_match_below(&self, directory: &str) -> bool {
        let mut parts = self.pattern.split('/');
        for part in directory.split('/') {
            let Some(pattern) = parts.next() else { return false };
            if pattern.contains("**") {
                return true;
            }
            let is_match = match pattern.contains(['*', '?', '[', '\\']) {
                // What is no pattern by itself, as a part of a class, may be one in the whole.
                true => Matcher::parse(pattern)
                    .is_none_or(|matcher| matcher.matches(pattern, part, &[]) == Some(part.len())),
                false => pattern == part,
            };
            if !is_match {
                return false;
            }
        }
        parts.next().is_some()
    }

    fn begins_with(&self, directory: &str) -> bool {
        format!("{}/", self.pattern).starts_with(directory)
    }
}

/// Whether a path is ignored, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// Whether the build does not see it.
    pub is_ignored: bool,
    /// The rule that decided: its index in [`IgnoreFile::rules`]. `None` where none matched.
    pub rule: Option<usize>,
    /// The directory above the path that the rule matched, if it did not match the path itself.
    pub parent: Option<String>,
}

/// A rule that is no pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IgnoreError {
    /// The pattern.
    pub pattern: String,
    /// The line of the file, from 1; 0 where the pattern is from no file.
    pub line: usize,
    /// Where the line is in the file.
    pub span: Span,
    /// Whether it is a lone `!`; else a bracket or an escape is open.
    pub is_lone_exception: bool,
}

impl fmt::Display for IgnoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.is_lone_exception {
            "illegal exclusion pattern"
        } else {
            "syntax error in pattern"
        };
        write!(f, "{what}: {:?}", self.pattern)?;
        if self.line > 0 {
            write!(f, " on line {}", self.line)?;
        }
        Ok(())
    }
}

impl std::error::Error for IgnoreError {}

/// The rules of an ignore file, in order: the last one that matches decides.
///
/// A path is one below the context, with `/` between its parts. A rule that matches a directory
/// matches everything in it.
///
/// | | |
/// |---|---|
/// | `*` | any characters but `/` |
/// | `?` | one character but `/` |
/// | `[a-z]`, `[^a-z]` | one character of these, one of others |
/// | `**` | any number of directories |
/// | `\c` | the character `c` |
/// | `!pattern` | what matches is kept |
///
/// Source: moby/patternmatcher, `MatchesOrParentMatches`; `ignorefile.ReadAll`.
#[derive(Clone, Debug, Default)]
pub struct IgnoreFile {
    rules: Vec<IgnoreRule>,
}

impl IgnoreFile {
    /// Reads the text of a `.containerignore` or `.dockerignore`.
    ///
    /// A line that begins with `#` is a comment. Blanks around a pattern and a `/` before it are
    /// left out.
    ///
    /// # Errors
    ///
    /// A line is no pattern.
    pub fn parse(text: &str) -> Result<Self, IgnoreError> {
        let mut file = Self::default();
        for (pattern, line, span) in lines(text) {
            file.push(&pattern, line, span)?;
        }
        Ok(file)
    }

    /// Takes patterns as they are, as those of `COPY --exclude`.
    ///
    /// # Errors
    ///
    /// One of them is no pattern.
    pub fn from_patterns<P: AsRef<str>>(
        patterns: impl IntoIterator<Item = P>,
    ) -> Result<Self, IgnoreError> {
        let mut file = Self::default();
        for pattern in patterns {
            file.push(pattern.as_ref(), 0, Span::default())?;
        }
        Ok(file)
    }

    fn push(&mut self, pattern: &str, line: usize, span: Span) -> Result<(), IgnoreError> {
        let pattern = pattern.trim();
        if pattern.is_empty() {
            return Ok(());
        }
        let refuse = |is_lone_exception| IgnoreError {
            pattern: pattern.to_owned(),
            line,
            span,
            is_lone_exception,
        };
        let cleaned = clean(pattern);
        let (is_exception, cleaned) = match cleaned.strip_prefix('!') {
            Some("") => return Err(refuse(true)),
            Some(rest) => (true, rest.to_owned()),
            None => (false, cleaned.into_owned()),
        };
        let matcher = Matcher::parse(&cleaned).ok_or_else(|| refuse(false))?;
        self.rules.push(IgnoreRule { pattern: cleaned, is_exception, line, span, matcher });
        Ok(())
    }

    /// The rules, in order.
    #[must_use]
    pub fn rules(&self) -> &[IgnoreRule] {
        &self.rules
    }

    /// Whether there is a rule with `!`.
    #[must_use]
    pub fn has_exceptions(&self) -> bool {
        self.rules.iter().any(|rule| rule.is_exception)
    }

    /// Whether the build does not see a path, and which rule says so. The context itself is never
    /// ignored.
    #[must_use]
    pub fn decide(&self, path: &str) -> Decision {
        let mut decision = Decision { is_ignored: false, rule: None, parent: None };
        let path = clean(path);
        if path == "." {
            return decision;
        }
        let parents: Vec<usize> = path.match_indices('/').map(|(at, _)| at).collect();
        for (index, rule) in self.rules.iter().enumerate() {
            // A rule that would change nothing is not asked.
            if rule.is_exception != decision.is_ignored {
                continue;
            }
            let Some(end) = rule.matcher.matches(&rule.pattern, &path, &parents) else { continue };
            let parent = (end < path.len()).then(|| path[..end].to_owned());
            decision = Decision { is_ignored: !rule.is_exception, rule: Some(index), parent };
        }
        decision
    }

    /// Whether the build does not see a path.
    #[must_use]
    pub fn is_ignored(&self, path: &str) -> bool {
        self.decide(path).is_ignored
    }

    /// Whether something in an ignored directory may be kept, so that a walk must go into it.
    #[must_use]
    pub fn may_keep_below(&self, directory: &str) -> bool {
        let directory = clean(directory);
        self.rules.iter().any(|rule| rule.is_exception && rule.may_match_below(&directory))
    }

    /// Whether the text of an exception begins with a directory: what makes buildah look into one that is ignored.
    #[must_use]
    pub fn has_exception_that_begins_with(&self, directory: &str) -> bool {
        let directory = clean(directory);
        self.rules.iter().any(|rule| rule.is_exception && rule.begins_with(&directory))
    }

    /// The exceptions that may keep something in an ignored directory and do not begin with it, so that BuildKit
    /// looks into it for them, and buildah does not: their indices in [`rules`](Self::rules).
    pub fn lost_exceptions(&self, directory: &str) -> impl Iterator<Item = usize> {
        let directory = clean(directory).into_owned();
        let decision = self.decide(&directory);
        // An exception before the rule has no effect on what is in the directory.
        let first = decision.rule.map_or(0, |rule| rule + 1);
        let rules = self.rules.iter().enumerate().skip(first);
        rules.filter_map(move |(index, rule)| {
            let is_lost = decision.is_ignored
                && rule.is_exception
                && rule.may_match_below(&directory)
                && !rule.begins_with(&directory);
            is_lost.then_some(index)
        })
    }
}

/// The patterns of a file, cleaned as the field does, with their lines.
fn lines(text: &str) -> impl Iterator<Item = (Cow<'_, str>, usize, Span)> {
    let mut start = 0;
    text.split_inclusive('\n').enumerate().filter_map(move |(index, raw)| {
        let span = Span::new(start, start + raw.trim_end_matches(['\r', '\n']).len());
        start += raw.len();
        let line = if index == 0 { raw.strip_prefix('\u{feff}').unwrap_or(raw) } else { raw };
        let pattern = line.trim();
        if line.starts_with('#') || pattern.is_empty() {
            return None;
        }
        let pattern = match pattern.strip_prefix('!') {
            Some(rest) => Cow::Owned(format!("!{}", relative(rest.trim()))),
            None => relative(pattern),
        };
        Some((pattern, index + 1, span))
    })
}

/// A pattern, cleaned, without the slash before it.
fn relative(pattern: &str) -> Cow<'_, str> {
    if pattern.is_empty() {
        return Cow::Borrowed("");
    }
    match clean(pattern) {
        cleaned if cleaned.len() > 1 && cleaned.starts_with('/') => {
            Cow::Owned(cleaned[1..].to_owned())
        }
        cleaned => cleaned,
    }
}

/// Removes `.`, `..` and needless slashes, as Go's `path.Clean`.
pub(crate) fn clean(path: &str) -> Cow<'_, str> {
    if path.split('/').all(|part| !matches!(part, "" | "." | "..")) {
        return Cow::Borrowed(path);
    }
    let is_absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(last) if *last != ".." => {
                    parts.pop();
                }
                _ if is_absolute => {}
                _ => parts.push(".."),
            },
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    Cow::Owned(match (is_absolute, joined.as_str()) {
        (true, _) => format!("/{joined}"),
        (false, "") => ".".to_owned(),
        (false, _) => joined,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_rule_that_matches_decides() {
        let text =
            "# comment\nnode_modules\n*.log\n!keep.log\n**/secret\n/docs/\n!docs/README.md\n";
        let file = IgnoreFile::parse(text).unwrap();
        let check = |path: &str, ignored: bool, line: Option<usize>, parent: Option<&str>| {
            let decision = file.decide(path);
            let found = decision.rule.map(|rule| file.rules()[rule].line);
            assert_eq!((decision.is_ignored, found), (ignored, line), "{path}");
            assert_eq!(decision.parent.as_deref(), parent, "{path}");
        };
        check("src/main.c", false, None, None);
        check("node_modules", true, Some(2), None);
        check("node_modules/a/b", true, Some(2), Some("node_modules"));
        check("a/node_modules", false, None, None);
        check("a.log", true, Some(3), None);
        check("keep.log", false, Some(4), None);
        check("a/b/secret", true, Some(5), None);
        check("docs/a", true, Some(6), Some("docs"));
        check("./docs//README.md", false, Some(7), None);
        check(".", false, None, None);
        assert!(file.may_keep_below("docs") && !file.may_keep_below("node_modules"));
        assert!(file.has_exceptions());
        let nested = IgnoreFile::parse("*\n!a/b/c\n!*/d\n").unwrap();
        let begun = |path: &str| nested.has_exception_that_begins_with(path);
        assert!(begun("a") && begun("./a/b/") && begun("*") && !begun("b") && !begun("a/d"));
        let lost = |text: &str, path: &str| -> Vec<usize> {
            IgnoreFile::parse(text).unwrap().lost_exceptions(path).collect()
        };
        assert_eq!(lost("x\n!*/d\n!x/e\n!**/f\n!y/*\n", "x"), [1, 3]);
        assert_eq!(lost("!*/d\nx\n", "x"), [0; 0], "it comes before the rule");
        assert_eq!(lost("x\n!*/d\n", "y"), [0; 0], "nothing is ignored there");
        assert_eq!(lost("x\n!*\n!y*/d\n![xy]/d\n!*/y/d\n!?/**\n", "x/y"), [0; 0], "x is kept");
        assert_eq!(lost("*\n!y*/d\n![xy]/d\n!*/e\n!?/x/d\n!?/**\n!z*\n", "x"), [2, 3, 4, 5]);
        assert_eq!(lost("*\n![xy]/d\n!*/e\n!?/y/d\n!?/z/d\n!?/y/**\n", "x/y"), [3, 5]);
        assert_eq!(&text[file.rules()[1].span.range()], "*.log");
    }

    #[test]
    fn what_is_no_pattern_is_told_with_its_line() {
        fn check(text: &str, expected: &str) {
            assert_eq!(IgnoreFile::parse(text).unwrap_err().to_string(), expected);
        }
        check("a\n[b\n", "syntax error in pattern: \"[b\" on line 2");
        check("!", "illegal exclusion pattern: \"!\" on line 1");
        check("a\\", "syntax error in pattern: \"a\\\\\" on line 1");
    }
}
