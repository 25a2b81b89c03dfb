//! Variables in words, quotes and escapes.

mod buildah;
mod error;
mod glob;
mod lexer;
mod scope;

use std::ops::Range;

pub use error::{ExpandError, ExpandErrorKind};
pub use scope::{BuildArguments, GlobalScope, PlatformArguments, StageScope, is_predefined};

use crate::dialect::Dialect;
use lexer::Lexer;
pub(crate) use lexer::{Modes, split};

/// The longest text that an expansion may give, in bytes: variables that hold each other would
/// otherwise grow without end.
pub const EXPANSION_MAX_BYTES: usize = 1 << 20;

/// How deep substitutions may stand in each other: `${a:-${b:-…}}`.
pub const EXPANSION_MAX_DEPTH: usize = 64;

/// The character that escapes others and continues lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Escape {
    /// `\`, unless the file says something else.
    #[default]
    Backslash,
    /// `` ` ``, for files with Windows paths.
    Backtick,
}

impl Escape {
    /// The character.
    #[must_use]
    pub const fn char(self) -> char {
        match self {
            Self::Backslash => '\\',
            Self::Backtick => '`',
        }
    }
}

/// Where the values of variables come from.
pub trait Variables {
    /// The value of a variable; `None` where it is unset.
    fn value(&self, name: &str) -> Option<&str>;
}

impl<V: Variables + ?Sized> Variables for &V {
    fn value(&self, name: &str) -> Option<&str> {
        (**self).value(name)
    }
}

/// The last of equal names is taken.
impl<K: AsRef<str>, V: AsRef<str>> Variables for [(K, V)] {
    fn value(&self, name: &str) -> Option<&str> {
        self.iter().rev().find(|(key, _)| key.as_ref() == name).map(|(_, value)| value.as_ref())
    }
}

impl Variables for std::collections::BTreeMap<String, String> {
    fn value(&self, name: &str) -> Option<&str> {
        self.get(name).map(String::as_str)
    }
}

impl Variables for std::collections::HashMap<String, String> {
    fn value(&self, name: &str) -> Option<&str> {
        self.get(name).map(String::as_str)
    }
}

/// How words are expanded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExpandOptions {
    /// The character that escapes.
    pub escape: Escape,
    /// Whose reading of the modifiers.
    pub dialect: Dialect,
    /// Whether quotes are ordinary characters, as in the body of a heredoc.
    pub literal_quotes: bool,
}

/// A place in a word where a variable is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VariableUse {
    /// The name.
    pub name: String,
    /// Where the name is, in bytes of the word.
    pub range: Range<usize>,
    /// Whether it has a value.
    pub is_set: bool,
}

/// What became of a word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Expansion {
    /// The text, without quotes and escapes.
    pub text: String,
    /// Every variable that was looked up, in order; one that is not needed, as in the default of
    /// a variable that is set, too.
    pub uses: Vec<VariableUse>,
}

/// Replaces the variables of a word, and removes quotes and escapes.
///
/// Blanks stay as they are: the result is one word. An unset variable becomes nothing.
///
/// | | |
/// |---|---|
/// | `$v`, `${v}` | the value |
/// | `${v:-w}`, `${v-w}` | `w` if `v` is unset or empty; if it is unset |
/// | `${v:+w}`, `${v+w}` | `w` if `v` is set and not empty; if it is set |
/// | `${v:?w}`, `${v?w}` | an error with the text `w` if `v` is unset or empty; if it is unset |
/// | `${v#p}`, `${v##p}` | without the shortest, longest beginning that matches `p` |
/// | `${v%p}`, `${v%%p}` | without the shortest, longest end that matches `p` |
/// | `${v/p/w}`, `${v//p/w}` | the first, every longest match of `p` replaced by `w` |
///
/// In patterns, `*` is any text and `?` any character of one line.
///
/// Source: BuildKit, `frontend/dockerfile/shell`.
///
/// # Errors
///
/// An [`ExpandErrorKind`] for quotes and braces that are left open, for modifiers that do not
/// exist, for a variable that must be set, and for the limits [`EXPANSION_MAX_BYTES`] and
/// [`EXPANSION_MAX_DEPTH`].
pub fn expand(
    word: &str,
    variables: &(impl Variables + ?Sized),
    options: &ExpandOptions,
) -> Result<Expansion, ExpandError> {
    let modes = Modes { literal_quotes: options.literal_quotes, ..Modes::default() };
    let mut lexer = Lexer::new(word, &variables, options, modes);
    let text = lexer.word()?;
    Ok(Expansion { text, uses: lexer.uses() })
}

/// Replaces the variables of a word as [`expand`] does, and splits the result at blanks that are
/// neither quoted nor escaped.
///
/// Values are split too: only EXPOSE is expanded in this way.
///
/// # Errors
///
/// As [`expand`].
pub fn expand_words(
    word: &str,
    variables: &(impl Variables + ?Sized),
    options: &ExpandOptions,
) -> Result<Vec<String>, ExpandError> {
    let modes = Modes { literal_quotes: options.literal_quotes, ..Modes::default() };
    let words = Lexer::new(word, &variables, options, modes).words()?;
    Ok(words.into_iter().map(|piece| piece.text).collect())
}
