//! Why a word cannot be expanded.

use std::fmt;

/// What is wrong with a word.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExpandErrorKind {
    /// A quote is not closed.
    OpenQuote(char),
    /// A brace is not closed.
    OpenBrace,
    /// `${v/pattern` without the second slash.
    NoReplacement,
    /// There is no name in the braces.
    NoName,
    /// A modifier does not exist.
    UnknownModifier(String),
    /// A pattern has an escape that it may not have.
    InvalidPattern {
        /// The pattern.
        pattern: String,
        /// The character behind the escape, if there is one.
        escaped: Option<char>,
    },
    /// A variable must be set, or must not be empty.
    Required {
        /// Its name.
        name: String,
        /// What the file says about it.
        message: String,
    },
    /// The result is longer than [`EXPANSION_MAX_BYTES`](crate::EXPANSION_MAX_BYTES).
    TooLong,
    /// Substitutions stand in each other deeper than
    /// [`EXPANSION_MAX_DEPTH`](crate::EXPANSION_MAX_DEPTH).
    TooDeep,
    /// What Buildah's reading of a modifier says.
    Buildah(String),
}

/// A word that cannot be expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExpandError {
    /// What is wrong.
    pub kind: ExpandErrorKind,
    /// The word.
    pub word: String,
    /// The byte of the word where it went wrong.
    pub offset: usize,
}

impl fmt::Display for ExpandErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = "unexpected end of statement while looking for matching";
        match self {
            Self::OpenQuote('\'') => write!(f, "{open} single-quote"),
            Self::OpenQuote(_) => write!(f, "{open} double-quote"),
            Self::OpenBrace => f.write_str("syntax error: missing '}'"),
            Self::NoReplacement => f.write_str("syntax error: missing '/' in ${}"),
            Self::NoName => f.write_str("syntax error: bad substitution"),
            Self::UnknownModifier(text) => {
                write!(f, "unsupported modifier ({}) in substitution", text.escape_debug())
            }
            Self::InvalidPattern { pattern, escaped } => {
                let escaped = escaped.map(|c| c.escape_debug().to_string()).unwrap_or_default();
                let pattern = pattern.escape_debug();
                write!(
                    f,
                    "invalid pattern ({pattern}) in substitution: invalid escape '\\{escaped}'"
                )
            }
            Self::Required { name, message } => write!(f, "{name}: {message}"),
            Self::TooLong => f.write_str("the result is longer than 1 MiB"),
            Self::TooDeep => f.write_str("substitutions stand in each other more than 64 deep"),
            Self::Buildah(message) => f.write_str(message),
        }
    }
}

impl fmt::Display for ExpandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.word.char_indices().nth(200).map_or(self.word.len(), |(at, _)| at);
        let dots = if end < self.word.len() { "…" } else { "" };
        write!(f, "failed to process {:?}{dots}: {}", &self.word[..end], self.kind)
    }
}

impl std::error::Error for ExpandError {}
