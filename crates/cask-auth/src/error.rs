use std::error::Error as StdError;
use std::fmt;

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
