//! The one error of the crate: what a program that embeds the server sees.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;

/// The result of everything that may fail in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a registry could not be opened or a server not be started.
///
/// What goes wrong with one request is told to its client, and to the access log.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    subject: String,
    detail: Option<Cow<'static, str>>,
    hint: Option<Cow<'static, str>>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The kinds of [`Error`]: one for each thing that a caller would do differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no such directory.
    NotFound,
    /// A name is not that of a repository.
    InvalidName,
    /// The password file cannot be understood, or has passwords in a form that is not safe.
    InvalidPasswords,
    /// The certificate or the key cannot be used.
    InvalidIdentity,
    /// Something else than a directory of its own stands where one must be.
    Unsafe,
    /// Somebody else listens at the address.
    AddressInUse,
    /// Who asks is not allowed to.
    Denied,
    /// The operating system refused.
    Io,
}

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        operation: &'static str,
        subject: impl fmt::Display,
    ) -> Self {
        Self(Box::new(Inner {
            kind,
            operation,
            subject: subject.to_string(),
            detail: None,
            hint: None,
            source: None,
        }))
    }

    pub(crate) fn io(
        error: impl Into<io::Error>,
        operation: &'static str,
        subject: impl fmt::Display,
    ) -> Self {
        let error = error.into();
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::AddrInUse => ErrorKind::AddressInUse,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                ErrorKind::Denied
            }
            _ => ErrorKind::Io,
        };
        Self::new(kind, operation, subject).with_source(error)
    }

    pub(crate) fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What a caller can decide by.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was being done.
    pub fn operation(&self) -> &str {
        self.0.operation
    }

    /// What it was done to: a path or an address.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { operation, subject, detail, .. } = &*self.0;
        write!(f, "{operation} {subject}")?;
        if let Some(detail) = detail {
            write!(f, ": {detail}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.to_string())
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<cask_layout::Error> for Error {
    fn from(error: cask_layout::Error) -> Self {
        let kind = match error.kind() {
            cask_layout::ErrorKind::NotFound => ErrorKind::NotFound,
            cask_layout::ErrorKind::Unsafe => ErrorKind::Unsafe,
            cask_layout::ErrorKind::Denied => ErrorKind::Denied,
            _ => ErrorKind::Io,
        };
        Self::new(kind, "opening", error.subject().to_owned()).with_source(error)
    }
}
