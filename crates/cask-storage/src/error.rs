//! The one error of the crate.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::Path;

/// The result of everything that may fail in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong with a store.
///
/// `Display` says what was being done, to what, and (where nothing lies beneath) why; the cause is
/// [`source`](StdError::source).
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
    /// No such store, image, layer, container, name or big data.
    NotFound,
    /// What was there when this began was deleted by somebody meanwhile: whoever begins again succeeds.
    Gone,
    /// Several images could be meant.
    Ambiguous,
    /// The text is no name, no ID or no reference to a store.
    InvalidName,
    /// A container, another image or a mount needs what was to be deleted.
    InUse,
    /// The ID is taken.
    Exists,
    /// A file of the store is malformed or contradicts itself.
    Corrupt,
    /// The bytes do not have the digest that they should have.
    DigestMismatch,
    /// A stated limit was exceeded.
    LimitExceeded,
    /// A driver, a feature or a file system that this crate does not support.
    Unsupported,
    /// Others held a lock of the store for longer than the caller wants to wait.
    Locked,
    /// The store, or this part of it, can only be read.
    ReadOnly,
    /// Who asks is not allowed to.
    Denied,
    /// The disk, or a quota on it, is full.
    NoSpace,
    /// The stream that was to become a layer failed, or is no layer.
    Input,
    /// The operating system refused otherwise.
    Io,
}

impl Error {
    /// Says what was being done, and to what.
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

    /// Wraps an error of the operating system about a path.
    pub(crate) fn io(error: impl Into<io::Error>, operation: &'static str, path: &Path) -> Self {
        let error = error.into();
        Self::new(kind_of(&error), operation, path.display()).with_source(error)
    }

    /// Adds why, where no other error says so.
    pub(crate) fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Adds what the user can do about it, as a sentence without a full stop.
    pub(crate) fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds the error beneath.
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

    /// What it was done to: a path, an ID, a digest or a name.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// Why, where no error beneath says so.
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// The error beneath, for who says the same in other words.
    pub fn into_source(self) -> Option<Box<dyn StdError + Send + Sync>> {
        self.0.source
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

fn kind_of(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => ErrorKind::Denied,
        io::ErrorKind::ReadOnlyFilesystem => ErrorKind::ReadOnly,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace,
        _ => ErrorKind::Io,
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

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}
