//! What is accepted and has no effect.

use std::fmt;

use cask_json::{Position, quoted_as_go};

/// Something in a configuration that has no effect, and was probably meant to have one.
///
/// Such things are no errors, because they are none to the other readers of these files. Prints as
/// `unknown key registry[0].blockd in "a.conf" (line 3 column 1)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    kind: WarningKind,
    file: String,
    key: String,
    position: Position,
}

/// What a [`Warning`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WarningKind {
    /// No reader knows the key.
    UnknownKey,
    /// An earlier table of the same file has the same prefix, and wins.
    RepeatedPrefix,
    /// No reference begins with such a prefix.
    UnmatchablePrefix,
}

impl Warning {
    pub(crate) fn new(kind: WarningKind, file: &str, key: String, position: Position) -> Self {
        Self { kind, file: file.into(), key, position }
    }

    /// What it is about.
    pub fn kind(&self) -> WarningKind {
        self.kind
    }

    /// The file, as it was named to the parser.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The key, as a path through the document.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The line of the key or its value, from 1.
    pub fn line(&self) -> u32 {
        self.position.line
    }

    /// The column of the key or its value in bytes, from 1.
    pub fn column(&self) -> u32 {
        self.position.column
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, file, position: Position { line, column, .. }, .. } = self;
        let (before, after) = match self.kind {
            WarningKind::UnknownKey => ("unknown key ", ""),
            WarningKind::RepeatedPrefix => ("", " repeats a prefix and is ignored"),
            WarningKind::UnmatchablePrefix => ("", " is a prefix that no image has"),
        };
        let file = quoted_as_go(file);
        write!(f, "{before}{key}{after} in {file} (line {line} column {column})")
    }
}
