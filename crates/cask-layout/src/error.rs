//! The one error of the crate.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;

/// The result of everything that may fail in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong with a layout.
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
    /// No such layout, image, name, manifest or blob.
    NotFound,
    /// Several images could be meant.
    Ambiguous,
    /// The text is not a name, or not a reference to a layout.
    InvalidName,
    /// Something stands where a regular file or a directory must be: a symbolic link, a fifo, a
    /// device. It was not opened.
    Unsafe,
    /// A file of the layout is malformed or contradicts itself.
    Corrupt,
    /// The bytes do not have the digest that names them.
    DigestMismatch,
    /// There are more or fewer bytes than announced.
    SizeMismatch,
    /// A stated limit was exceeded.
    LimitExceeded,
    /// A version, a type or a file system that this crate does not support.
    Unsupported,
    /// Others held the layout's lock for longer than the caller wants to wait.
    Locked,
    /// Who asks is not allowed to.
    Denied,
    /// The operating system refused: no space, a broken disk.
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

    /// Wraps an error of the operating system.
    pub(crate) fn io(
        error: impl Into<io::Error>,
        operation: &'static str,
        subject: impl fmt::Display,
    ) -> Self {
        let error = error.into();
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                ErrorKind::Denied
            }
            _ => ErrorKind::Io,
        };
        Self::new(kind, operation, subject).with_source(error)
    }

    /// Wraps an error of the operating system, for who opens directories for
    /// [`Layout::of_directory`](crate::Layout::of_directory).
    pub fn of_system(
        error: impl Into<io::Error>,
        operation: &'static str,
        path: impl AsRef<std::path::Path>,
    ) -> Self {
        Self::io(error, operation, path.as_ref().display())
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

    /// What it was done to: a path, a digest or a name.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// Why, where no error beneath says so.
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// Takes the error beneath, for whoever makes an error of another type of this one.
    pub fn into_source(self) -> Option<Box<dyn StdError + Send + Sync>> {
        self.0.source
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

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}
