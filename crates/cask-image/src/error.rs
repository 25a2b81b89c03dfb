//! Why bytes are not the document that they should be.

use std::fmt;

use cask_json::{Place, Value};

/// Why bytes were refused as a manifest, an index, a config or another document of an image.
///
/// It says where: a path of keys and indexes such as `layers[3].digest`, and the position of the
/// value (or of the object in which a field is missing) in the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    kind: ManifestErrorKind,
    place: Place,
    detail: String,
}

/// The kinds of [`ManifestError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ManifestErrorKind {
    /// More bytes than the limit.
    TooLarge,
    /// More values, levels, layers or entries than the limit.
    TooComplex,
    /// Not JSON.
    Syntax,
    /// A key twice in one object, or, where the object has a fixed set of fields, two keys that
    /// differ by case only.
    DuplicateKey,
    /// A document that readers understand in different ways: keys of two kinds of manifest, or a
    /// known key in another case.
    Ambiguous,
    /// Nothing in the document says what kind of manifest it is.
    UnknownType,
    /// The document says that it is of another type than the one that it came with.
    MediaTypeConflict,
    /// A `schemaVersion` that its type of document does not have.
    UnsupportedVersion,
    /// A field is not there.
    MissingField,
    /// A string where a number has to be, and so on.
    WrongType,
    /// A digest, a size, a time or another value that is malformed or out of range.
    InvalidValue,
}

impl ManifestError {
    pub(crate) fn new(kind: ManifestErrorKind, place: Place, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, place, detail: detail.into() }))
    }

    /// What is wrong.
    pub fn kind(&self) -> ManifestErrorKind {
        self.0.kind
    }

    /// The way to the value, such as `layers[3].digest`; empty for the whole document.
    pub fn path(&self) -> &str {
        self.0.place.path()
    }

    /// The offset of the value in the document, in bytes.
    pub fn offset(&self) -> usize {
        self.0.place.position().offset
    }

    /// The line of the value, from 1.
    pub fn line(&self) -> usize {
        self.0.place.position().line as usize
    }

    /// The column of the value in its line, in bytes, from 1.
    pub fn column(&self) -> usize {
        self.0.place.position().column as usize
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.place.describe(f, &self.0.detail)
    }
}

impl std::error::Error for ManifestError {}

impl From<cask_json::Error> for ManifestError {
    fn from(error: cask_json::Error) -> Self {
        use cask_json::ErrorKind;
        let (kind, place, detail) = error.into_parts();
        let kind = match kind {
            ErrorKind::TooLarge => ManifestErrorKind::TooLarge,
            ErrorKind::TooComplex => ManifestErrorKind::TooComplex,
            ErrorKind::Syntax => ManifestErrorKind::Syntax,
            ErrorKind::DuplicateKey => ManifestErrorKind::DuplicateKey,
            ErrorKind::KeyCase => ManifestErrorKind::Ambiguous,
            ErrorKind::MissingField => ManifestErrorKind::MissingField,
            ErrorKind::WrongType => ManifestErrorKind::WrongType,
            _ => ManifestErrorKind::InvalidValue,
        };
        Self::new(kind, place, detail)
    }
}

/// Faults that only the documents of this crate have.
pub(crate) trait Faulty {
    /// The error that this is wrong.
    fn fault(self, kind: ManifestErrorKind, detail: impl Into<String>) -> ManifestError;
}

impl Faulty for Value<'_> {
    fn fault(self, kind: ManifestErrorKind, detail: impl Into<String>) -> ManifestError {
        ManifestError::new(kind, self.place(), detail)
    }
}
