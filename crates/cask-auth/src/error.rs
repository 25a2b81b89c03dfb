use std::error::Error as StdError;
use std::fmt;
use std::path::Path;

/// Why credentials could not be looked up, stored or removed.
///
/// `Display` names what was done and to what; the reason is the
/// [`source`](std::error::Error::source). No secret is in either.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file could not be read.
    Read,
    /// A file could not be written or locked.
    Write,
    /// A file is not JSON, is too large, or an entry of it is not what it has to be.
    Malformed,
    /// What was given is no key for credentials, or no credential that can be kept.
    Invalid,
    /// A credential helper is missing, failed, took too long or answered nonsense.
    Helper,
    /// There is nothing to remove.
    NotLoggedIn,
    /// No file was named that could be written.
    NowhereToWrite,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), source: None }))
    }

    pub(crate) fn caused(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), source: Some(source.into()) }))
    }

    /// A file that is not what it has to be.
    pub(crate) fn malformed(path: &Path, error: cask_json::Error) -> Self {
        let unmarshal = Self::caused(
            ErrorKind::Malformed,
            format!("unmarshaling JSON at {path:?}"),
            AtByte(error),
        );
        Self::caused(ErrorKind::Malformed, format!("reading JSON file {path:?}"), unmarshal)
    }

    /// A bearer token is of one use only, so nobody keeps it.
    pub(crate) fn no_bearer_tokens() -> Self {
        Self::new(ErrorKind::Invalid, "a bearer token is not kept: give a password")
    }

    /// Several errors, none of which is the cause of another.
    pub(crate) fn several(what: &str, errors: &[Self]) -> Self {
        let kind = errors.first().map_or(ErrorKind::Helper, Self::kind);
        let all: String = errors.iter().map(|error| format!(" * {}", error.chain())).collect();
        Self::new(kind, format!("{what}:{all}"))
    }

    /// The error and all its causes, on one line.
    fn chain(&self) -> String {
        let causes = std::iter::successors(self.source(), |&error| error.source());
        causes.fold(self.to_string(), |text, cause| format!("{text}: {cause}"))
    }

    /// What went wrong, for a caller to act upon.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// What is wrong in a file, with the offset besides line and column.
#[derive(Debug)]
struct AtByte(cask_json::Error);

impl fmt::Display for AtByte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.path().is_empty() {
            write!(f, "{}: ", self.0.path())?;
        }
        let position = self.0.position();
        let (line, column, offset) = (position.line, position.column, position.offset);
        write!(f, "{} (line {line}, column {column}, byte {offset})", self.0.detail())
    }
}

impl StdError for AtByte {}
