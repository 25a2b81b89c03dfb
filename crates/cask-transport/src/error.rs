//! The one error of the seam.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;

/// The result of everything that may fail at the seam.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong at a place that holds images.
///
/// `Display` says what was being done, to what, and (where nothing lies beneath) why; the cause is
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
    /// The text does not name a location of the transport.
    InvalidLocation,
    /// No such image, name or manifest.
    NotFound,
    /// Something that belongs to the rest is not there: a blob that a manifest lists, the directory
    /// or repository that shall be written to.
    Missing,
    /// Something that was there when the operation was planned was taken away by somebody meanwhile: planning it once
    /// more helps.
    Changed,
    /// Something is there that must not be overwritten.
    AlreadyExists,
    /// The bytes do not have the digest that names them.
    DigestMismatch,
    /// There are more or fewer bytes than announced.
    SizeMismatch,
    /// A stated limit was exceeded.
    LimitExceeded,
    /// The content is malformed or contradicts itself.
    Corrupt,
    /// The place cannot do or hold this, ever.
    Unsupported,
    /// The place refuses this manifest; another type of manifest may be accepted.
    ManifestRefused,
    /// The signature policy does not let the image pass.
    PolicyRejected,
    /// Who asks is not allowed to.
    Denied,
    /// Credentials are missing or wrong.
    Unauthorized,
    /// The place asks to slow down.
    RateLimited,
    /// The place cannot be reached, or the connection failed; trying again may help.
    Network,
    /// The operation was given up, because another part of it failed or the user said so.
    Cancelled,
    /// The operating system refused: no space, no permission, a broken disk.
    Io,
}

impl Error {
    /// Says what was being done, and to what: a path, a URL, a location or a digest.
    pub fn new(
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

    /// Adds why, where no other error says so.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Adds the error beneath.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds what the user can do about it, as a sentence without a full stop.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Says that what was not found is no image: it is [`Missing`](ErrorKind::Missing). Other kinds
    /// stay.
    #[must_use]
    pub fn not_found_is_missing(mut self) -> Self {
        if self.0.kind == ErrorKind::NotFound {
            self.0.kind = ErrorKind::Missing;
        }
        self
    }

    /// Wraps an error of the operating system, or takes back the [`Error`] that travelled
    /// through [`std::io::Read`].
    pub fn from_io(
        error: io::Error,
        operation: impl Into<Cow<'static, str>>,
        subject: impl fmt::Display,
    ) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
            io::ErrorKind::PermissionDenied => ErrorKind::Denied,
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => ErrorKind::Corrupt,
            _ => ErrorKind::Io,
        };
        match error.downcast::<Self>() {
            Ok(own) => own,
            Err(error) => Self::new(kind, operation, subject).with_source(error),
        }
    }

    /// What a caller can decide by.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was being done.
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// What it was done to.
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
        f.write_str(operation)?;
        if !subject.is_empty() {
            if !operation.is_empty() {
                f.write_str(" ")?;
            }
            f.write_str(subject)?;
        }
        if let Some(detail) = detail {
            if !(operation.is_empty() && subject.is_empty()) {
                f.write_str(": ")?;
            }
            f.write_str(detail)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_way_through_io() {
        let error = Error::new(ErrorKind::DigestMismatch, "reading blob", "sha256:ab")
            .with_detail("Digest did not match");
        assert_eq!(error.to_string(), "reading blob sha256:ab: Digest did not match");
        let back = Error::from_io(io::Error::from(error), "copying", "x");
        assert_eq!(back.kind(), ErrorKind::DigestMismatch);
        assert_eq!(back.operation(), "reading blob");
    }
}
