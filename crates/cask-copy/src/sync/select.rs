//! Which names of a place are wanted.

use std::fmt;

use super::version::VersionConstraint;

/// Which names of a place are wanted.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum NameFilter {
    /// Every one.
    #[default]
    All,
    /// Those in which the expression is found.
    Matching(NamePattern),
    /// Those that are versions which fit.
    Versions(VersionConstraint),
}

impl NameFilter {
    /// Whether a name is wanted.
    pub fn accepts(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Matching(pattern) => pattern.0.is_match(name),
            Self::Versions(constraint) => constraint.accepts(name),
        }
    }
}

/// A regular expression for names. It is found anywhere in a name unless it has anchors.
///
/// Source: Go's `regexp`, of which it takes all but `\p{…}`, `\Q…\E` and `\C`, which no tag needs.
/// Time is linear in the name.
#[derive(Clone, Debug)]
pub struct NamePattern(regex_lite::Regex);

impl NamePattern {
    /// Parses an expression.
    ///
    /// # Errors
    /// If it is none, or its compiled form is larger than 10 MiB.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        regex_lite::Regex::new(text).map(Self).map_err(|error| PatternError {
            kind: PatternErrorKind::Expression,
            input: text.to_owned(),
            offset: 0,
            detail: error.to_string(),
        })
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Why a text is no [`NamePattern`] or no [`VersionConstraint`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    kind: PatternErrorKind,
    input: String,
    offset: usize,
    detail: String,
}

/// The kinds of [`PatternError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PatternErrorKind {
    /// It is no regular expression.
    Expression,
    /// It is no constraint of versions.
    Version,
    /// It is a constraint longer than 4096 bytes.
    TooLong,
}

impl PatternError {
    pub(super) fn new(kind: PatternErrorKind, input: &str, offset: usize) -> Self {
        Self { kind, input: input.to_owned(), offset, detail: String::new() }
    }

    /// What is wrong.
    pub fn kind(&self) -> PatternErrorKind {
        self.kind
    }

    /// The text.
    pub fn input(&self) -> &str {
        &self.input
    }

    /// Where in the text, in bytes; zero for an expression, whose error says so itself.
    pub fn offset(&self) -> usize {
        self.offset
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, input, offset, detail } = self;
        match kind {
            // The words of Go and of Masterminds/semver, which scripts search for.
            PatternErrorKind::Expression => write!(f, "error parsing regexp {input:?}: {detail}"),
            PatternErrorKind::Version => {
                write!(f, "improper constraint: {input:?} at byte {offset}")
            }
            PatternErrorKind::TooLong => {
                write!(f, "improper constraint: it is longer than {offset} bytes")
            }
        }
    }
}

impl std::error::Error for PatternError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_found_anywhere_unless_anchored() {
        let check = |text: &str, name: &str, expected: bool| {
            let filter = NameFilter::Matching(NamePattern::parse(text).expect("it is one"));
            assert_eq!(filter.accepts(name), expected, "{text} in {name}");
        };
        check("1", "v1.2", true);
        check("^1", "v1.2", false);
        check(r"^1\.13\.[12]-alpine-perl$", "1.13.2-alpine-perl", true);
        check(r"^1\.13\.[12]-alpine-perl$", "1.13.3-alpine-perl", false);
        check("(?i)RC", "1-rc1", true);
        assert!(NameFilter::All.accepts("anything"));
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        let error = NamePattern::parse("(").expect_err("it is none");
        assert_eq!(error.kind(), PatternErrorKind::Expression);
        assert!(error.to_string().starts_with("error parsing regexp \"(\": "), "{error}");
    }
}
