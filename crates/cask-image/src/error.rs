//! Why bytes are not the document that they should be.

use std::fmt;

/// Why bytes were refused as a manifest, an index, a config or another document of an image.
///
/// It says where: a path of keys and indexes such as `layers[3].digest`, and the position of the
/// value (or of the object in which a field is missing) in the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    kind: ManifestErrorKind,
    path: String,
    offset: usize,
    line: usize,
    column: usize,
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
    pub(crate) fn new(
        kind: ManifestErrorKind,
        path: String,
        bytes: &[u8],
        offset: usize,
        detail: String,
    ) -> Self {
        let before = &bytes[..offset.min(bytes.len())];
        let line_start = before.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
        let column = before.len() - line_start + 1;
        Self(Box::new(Inner { kind, path, offset, line, column, detail }))
    }

    /// What is wrong.
    pub fn kind(&self) -> ManifestErrorKind {
        self.0.kind
    }

    /// The way to the value, such as `layers[3].digest`; empty for the whole document.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// The offset of the value in the document, in bytes.
    pub fn offset(&self) -> usize {
        self.0.offset
    }

    /// The line of the value, from 1.
    pub fn line(&self) -> usize {
        self.0.line
    }

    /// The column of the value in its line, in bytes, from 1.
    pub fn column(&self) -> usize {
        self.0.column
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { path, line, column, detail, .. } = &*self.0;
        if path.is_empty() {
            write!(f, "{detail} (line {line}, column {column})")
        } else {
            write!(f, "{path}: {detail} (line {line}, column {column})")
        }
    }
}

impl std::error::Error for ManifestError {}

/// Untrusted text for a message: in quotation marks, escaped, and not of any length.
pub(crate) fn quoted(text: &str) -> String {
    const MAX: usize = 120;
    if text.len() <= MAX {
        return format!("{text:?}");
    }
    let mut end = MAX;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{:?}…", &text[..end])
}
