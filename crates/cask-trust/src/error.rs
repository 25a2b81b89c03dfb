//! The error of a policy text.

use std::fmt;

use cask_json::{Position, quoted_as_go};

/// A policy text that is not a valid policy.
///
/// Prints as containers/image does, and adds the place:
/// `invalid policy in "policy.json": Unknown key "x"; … (line 3 column 5)`.
#[derive(Debug)]
pub struct PolicyError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    file: String,
    fault: Fault,
}

/// What is wrong with a policy text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyErrorKind {
    /// The text is longer than [`MAX_POLICY_BYTES`](crate::MAX_POLICY_BYTES).
    TooLarge,
    /// The text is not JSON.
    Syntax,
    /// A value has another JSON type than the one that belongs there; `null` never belongs.
    WrongType,
    /// An object has a key that does not belong there.
    UnknownKey,
    /// An object has the same key twice.
    DuplicateKey,
    /// An object lacks a key, or has one of two that exclude each other.
    KeyCombination,
    /// A value has the right type and an impossible content.
    InvalidValue,
    /// A scope is none that its transport knows.
    InvalidScope,
}

impl PolicyError {
    pub(crate) fn new(file: &str, fault: Fault) -> Self {
        Self(Box::new(Inner { file: file.into(), fault }))
    }

    /// What is wrong.
    pub fn kind(&self) -> PolicyErrorKind {
        self.0.fault.kind
    }

    /// The name of the file, as it was given to the parser.
    pub fn file(&self) -> &str {
        &self.0.file
    }

    /// What is wrong, in words, without file and place.
    pub fn message(&self) -> &str {
        &self.0.fault.message
    }

    /// The value or key at fault, as a path through the document: `transports.dir["/srv"][0].type`.
    /// Empty for the document itself.
    pub fn path(&self) -> &str {
        &self.0.fault.path
    }

    /// How many bytes stand before it.
    pub fn offset(&self) -> usize {
        self.0.fault.position.offset
    }

    /// Its line, from 1.
    pub fn line(&self) -> u32 {
        self.0.fault.position.line
    }

    /// Its column in bytes, from 1.
    pub fn column(&self) -> u32 {
        self.0.fault.position.column
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { message, path, position, .. } = &self.0.fault;
        write!(f, "invalid policy in {}: {message} (", quoted_as_go(&self.0.file))?;
        if !path.is_empty() {
            write!(f, "{path}, ")?;
        }
        write!(f, "line {} column {})", position.line, position.column)
    }
}

impl std::error::Error for PolicyError {}

/// A [`PolicyError`] before the file is known.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) kind: PolicyErrorKind,
    pub(crate) message: String,
    pub(crate) path: String,
    pub(crate) position: Position,
}
