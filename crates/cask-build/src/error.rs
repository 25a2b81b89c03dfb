//! The one error of the crate.

use std::error::Error as StdError;
use std::fmt;

/// The result of everything that may fail in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be built, in the words of the peers where they have some.
pub struct Error {
    kind: ErrorKind,
    subject: String,
    detail: String,
    hint: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The kinds of [`Error`]: one for each thing that a caller would do differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// What the Containerfile, an option or another argument says makes no sense.
    Invalid,
    /// A file, a stage, an image or a user that is named does not exist.
    Missing,
    /// What came is not what was announced: a digest, a size, a commit.
    Mismatch,
    /// Something was more than it may be.
    Limit,
    /// A command ended with this status.
    Command(u8),
    /// It was stopped.
    Cancelled,
    /// A file could not be read or written.
    Io,
    /// The store failed, or is damaged.
    Storage,
    /// An image or a file could not be had from elsewhere.
    Fetch,
    /// A process could not be run as it has to be.
    Runtime,
}

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        subject: impl fmt::Display,
        detail: impl Into<String>,
    ) -> Self {
        Self { kind, subject: subject.to_string(), detail: detail.into(), hint: None, source: None }
    }

    #[must_use]
    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    #[must_use]
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What it is about: a path, a name, an instruction.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// What a user can do about it.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.subject.as_str(), self.detail.as_str()) {
            ("", detail) => f.write_str(detail),
            (subject, "") => f.write_str(subject),
            (subject, detail) => write!(f, "{subject}: {detail}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)?;
        match &self.source {
            Some(source) => write!(f, ": {source:?}"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
