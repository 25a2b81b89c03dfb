//! Why bytes are not the document that they should be.

use std::fmt;

use crate::Position;
use crate::path::push_key;

/// Why a document was refused, by the parser or by who read its fields.
///
/// It says where: a path of keys and indexes such as `layers[3].digest`, and the position of the
/// value (or of the object in which a field is missing) in the bytes. It prints as
/// `layers[3].digest: expected a string, found null (line 7, column 21)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    place: Place,
    detail: String,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// More bytes than the limit.
    TooLarge,
    /// More values or more levels than the limit.
    TooComplex,
    /// Not JSON.
    Syntax,
    /// A key twice in one object, or, where the object has a fixed set of fields, two keys that
    /// differ by case only.
    DuplicateKey,
    /// A known key in another case: a field to some readers only.
    KeyCase,
    /// A field is not there.
    MissingField,
    /// A string where a number has to be, and so on.
    WrongType,
    /// A value of the right type that is malformed or out of range.
    InvalidValue,
}

impl Error {
    /// Makes an error about something at a place; `detail` is a lowercase fragment.
    ///
    /// For a value that is wrong, [`Value::error`](crate::Value::error) is shorter.
    pub fn new(kind: ErrorKind, place: Place, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, place, detail: detail.into() }))
    }

    /// What is wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Where it is wrong.
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// The way to the value, such as `layers[3].digest`; empty for the whole document.
    pub fn path(&self) -> &str {
        &self.0.place.path
    }

    /// Where the value begins.
    pub fn position(&self) -> Position {
        self.0.place.position
    }

    /// What is wrong, in words, without the place.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The parts, for a crate that puts them into an error of its own.
    pub fn into_parts(self) -> (ErrorKind, Place, String) {
        (self.0.kind, self.0.place, self.0.detail)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.place.describe(f, &self.0.detail)
    }
}

impl std::error::Error for Error {}

/// Where in a document something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    path: String,
    position: Position,
}

impl Place {
    /// Makes a place of a path and a position.
    pub(crate) fn new(path: String, position: Position) -> Self {
        Self { path, position }
    }

    /// The way there, such as `layers[3].digest`; empty for the whole document.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The position in the bytes.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The place of a field that is not there, in an object at this place: the path grows by the
    /// field's name, the position stays that of the object.
    #[must_use]
    pub fn below(mut self, field: &str) -> Self {
        push_key(&mut self.path, field);
        self
    }

    /// Writes what is wrong here, with path, line and column, as every error does that knows a
    /// place: `size: a size is not negative (line 1, column 9)`.
    ///
    /// # Errors
    /// Those of the formatter.
    pub fn describe(&self, f: &mut fmt::Formatter<'_>, detail: &str) -> fmt::Result {
        let Self { path, position: Position { line, column, .. } } = self;
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        write!(f, "{detail} (line {line}, column {column})")
    }
}
