//! The one error of the crate.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;

/// The result of everything that may fail in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a process did not run, or why nothing is known of how it ended.
///
/// A process that ran and failed is no error: see [`ExitReport`](crate::ExitReport). `Display` says
/// what was being done, to what, and (where nothing lies beneath) why; the cause is
/// [`source`](StdError::source).
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: Cow<'static, str>,
    subject: String,
    detail: Option<Cow<'static, str>>,
    hint: Option<Cow<'static, str>>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The kinds of [`Error`]: one for each thing that a caller would do differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The command is not in the root filesystem: shells exit with 127.
    CommandNotFound,
    /// The command is there and cannot be executed: shells exit with 126.
    CommandNotExecutable,
    /// No such user or group, working directory, source of a mount, or root filesystem.
    NotFound,
    /// The specification contradicts itself or says what no process can have.
    InvalidSpec,
    /// Who asks is not allowed to; the hint says what would be needed.
    Denied,
    /// The kernel, the machine or this backend cannot do it.
    Unsupported,
    /// The caller gave up; nothing of the process is left.
    Cancelled,
    /// An external runtime failed before the process began.
    RuntimeFailed,
    /// The operating system refused otherwise.
    Io,
}

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        operation: impl Into<Cow<'static, str>>,
        subject: impl fmt::Display,
    ) -> Self {
        Self(Box::new(Inner {
            kind,
            operation: operation.into(),
            subject: subject.to_string(),
            detail: None,
            hint: None,
            source: None,
        }))
    }

    /// Wraps an error of the operating system about a subject.
    pub(crate) fn io(
        error: impl Into<io::Error>,
        operation: impl Into<Cow<'static, str>>,
        subject: impl fmt::Display,
    ) -> Self {
        let error = error.into();
        Self::new(kind_of(&error), operation, subject).with_source(error)
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
        &self.0.operation
    }

    /// What it was done to: a path, a command, a user.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// What the user can do about it, where that is known.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The status that a shell gives to a command which could not be run: 127 or 126.
    ///
    /// `None` for every error that is not the command's own.
    pub fn shell_status(&self) -> Option<u8> {
        match self.0.kind {
            ErrorKind::CommandNotFound => Some(127),
            ErrorKind::CommandNotExecutable => Some(126),
            _ => None,
        }
    }
}

/// The kind that an error of the operating system has where nothing better is known.
pub(crate) fn kind_of(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => ErrorKind::Denied,
        io::ErrorKind::Unsupported => ErrorKind::Unsupported,
        _ => ErrorKind::Io,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.operation, self.0.subject)?;
        match &self.0.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("operation", &self.0.operation)
            .field("subject", &self.0.subject)
            .field("detail", &self.0.detail)
            .field("hint", &self.0.hint)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
