//! The one error of the crate.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::Path;

use cask_containerfile::{Span, Tree};

/// The result of everything that may fail in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be built, in the words of the peers where they have some.
pub struct Error {
    kind: ErrorKind,
    subject: String,
    detail: String,
    hint: Option<String>,
    location: Option<Box<Location>>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Where in a Containerfile something is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Location {
    /// The name of the file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// The bytes of the file.
    pub span: Span,
    /// The instruction as it is written, on one line.
    pub instruction: String,
}

impl Location {
    /// The place of a span of a file.
    pub fn new(file: &str, tree: &Tree, span: Span, instruction: &str) -> Self {
        let position = tree.lines().position(tree.source(), span.start());
        Self {
            file: file.to_owned(),
            line: position.line,
            column: position.column,
            span,
            instruction: instruction.to_owned(),
        }
    }
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
    /// An error of this crate's kinds: for those who implement its traits.
    pub fn new(kind: ErrorKind, subject: impl fmt::Display, detail: impl Into<String>) -> Self {
        Self {
            kind,
            subject: subject.to_string(),
            detail: detail.into(),
            hint: None,
            location: None,
            source: None,
        }
    }

    /// Wraps an error of the operating system about a path.
    pub(crate) fn io(error: impl Into<io::Error>, operation: &str, path: &Path) -> Self {
        Self::new(ErrorKind::Io, path.display(), operation).with_source(error.into())
    }

    /// Wraps an error of the store.
    pub(crate) fn storage(error: cask_storage::Error, subject: impl fmt::Display) -> Self {
        let hint = error.hint().map(str::to_owned);
        let mut wrapped = Self::new(ErrorKind::Storage, subject, "the store failed");
        wrapped.hint = hint;
        wrapped.with_source(error)
    }

    /// Wraps an error of the runtime.
    pub(crate) fn runtime(error: cask_runtime::Error, subject: impl fmt::Display) -> Self {
        let kind = match error.kind() {
            cask_runtime::ErrorKind::Cancelled => ErrorKind::Cancelled,
            _ => match error.shell_status() {
                Some(status) => ErrorKind::Command(status),
                None => ErrorKind::Runtime,
            },
        };
        let hint = error.hint().map(str::to_owned);
        let mut wrapped = Self::new(kind, subject, "");
        wrapped.hint = hint;
        wrapped.with_source(error)
    }

    /// Says where in a Containerfile it is, unless that is known already.
    #[must_use]
    pub(crate) fn at(mut self, location: impl FnOnce() -> Location) -> Self {
        self.location.get_or_insert_with(|| Box::new(location()));
        self
    }

    /// What lies beneath.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What a user can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
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

    /// Where in a Containerfile it is, if it is about an instruction.
    pub fn location(&self) -> Option<&Location> {
        self.location.as_deref()
    }

    /// What a user can do about it.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

/// An error with what lies beneath it, in one line.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(&format!(": {error}"));
        next = error.source();
    }
    text
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
