//! What a document may hold, and how its faults are told.

/// What a document may hold, and in which words an error tells that it does not.
///
/// Begin with [`new`](Self::new), which is strict, and loosen what a format needs:
///
/// ```
/// use cask_json::Rules;
///
/// const RULES: Rules = Rules::new(1 << 20).with_max_depth(16).replacing_bad_text();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rules {
    /// The most bytes; never more than 4 GiB − 1.
    pub max_bytes: u64,
    /// The most levels that objects and arrays may be nested. Parsing does not recurse, so any
    /// number is safe; but code that walks through what was parsed may recurse.
    pub max_depth: usize,
    /// The most values, objects and arrays included, keys not. A document takes at most about 80
    /// bytes of memory for each value, besides its own bytes.
    pub max_values: usize,
    /// What becomes of text that is not Unicode.
    pub bad_text: BadText,
    /// What becomes of keys that occur more than once in an object.
    pub duplicates: Duplicates,
    /// In whose words syntax errors are told.
    pub words: Words,
}

/// What becomes of text that is not Unicode: bytes that are not UTF-8, escaped surrogates without
/// a partner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BadText {
    /// It is an error.
    #[default]
    Refuse,
    /// Each byte and each surrogate becomes U+FFFD, as in Go's `encoding/json`.
    Replace,
}

/// What becomes of keys that occur more than once in an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duplicates {
    /// They are an error: no two readers agree about which one counts.
    #[default]
    Refuse,
    /// All of them are kept, in their order, for a caller who looks for them.
    Keep,
}

/// In whose words syntax errors are told, and so which byte they blame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Words {
    /// Our own, at the start of the word, number or escape that is wrong:
    /// `expected a comma or the end of the array`.
    #[default]
    Plain,
    /// Those of Go's `encoding/json`, at the first byte that does not fit:
    /// `invalid character '3' after array element`. For formats whose users know the Go tools.
    Go,
}

impl Rules {
    /// The most levels of nesting unless a format says otherwise.
    pub const DEFAULT_MAX_DEPTH: usize = 64;

    /// The most values unless a format says otherwise.
    pub const DEFAULT_MAX_VALUES: usize = 1 << 18;

    /// The strictest rules, for documents of up to so many bytes.
    pub const fn new(max_bytes: u64) -> Self {
        Self {
            max_bytes,
            max_depth: Self::DEFAULT_MAX_DEPTH,
            max_values: Self::DEFAULT_MAX_VALUES,
            bad_text: BadText::Refuse,
            duplicates: Duplicates::Refuse,
            words: Words::Plain,
        }
    }

    /// The same with another limit on nesting.
    #[must_use]
    pub const fn with_max_depth(self, max_depth: usize) -> Self {
        Self { max_depth, ..self }
    }

    /// The same with another limit on the number of values.
    #[must_use]
    pub const fn with_max_values(self, max_values: usize) -> Self {
        Self { max_values, ..self }
    }

    /// The same with U+FFFD for text that is not Unicode.
    #[must_use]
    pub const fn replacing_bad_text(self) -> Self {
        Self { bad_text: BadText::Replace, ..self }
    }

    /// The same with duplicate keys kept for the caller to judge.
    #[must_use]
    pub const fn keeping_duplicates(self) -> Self {
        Self { duplicates: Duplicates::Keep, ..self }
    }

    /// The same with syntax errors in Go's words.
    #[must_use]
    pub const fn in_go_words(self) -> Self {
        Self { words: Words::Go, ..self }
    }

    /// For text that was parsed before, by whatever rules.
    pub(crate) const fn of_known() -> Self {
        Self::new(u64::MAX)
            .with_max_depth(usize::MAX)
            .with_max_values(usize::MAX)
            .replacing_bad_text()
            .keeping_duplicates()
    }
}

impl Default for Rules {
    /// The strictest rules, for documents of up to 4 MiB.
    fn default() -> Self {
        Self::new(4 << 20)
    }
}
