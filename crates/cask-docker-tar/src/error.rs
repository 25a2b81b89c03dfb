//! What can go wrong with an archive of `docker save`.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The result of reading or writing an archive of images.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kinds of [`Error`]: each one is something that a caller may act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The tar file itself: the kind of the [`cask_archive::Error`] that is the source.
    Archive(cask_archive::ErrorKind),
    /// The tar file has no `manifest.json`: it is no archive of `docker save`, or one that
    /// Docker wrote before version 1.10.
    NotDockerArchive,
    /// `manifest.json`, a config or a layer is malformed, or they contradict each other.
    Malformed,
    /// No image has the name or the position that was asked for.
    NoImage,
    /// The archive has not exactly one image, and none was chosen.
    Ambiguous,
    /// An image has no such layer, or a layer was not written before the image.
    NoLayer,
    /// Bytes do not have the digest that names them.
    DigestMismatch,
    /// What was asked for does not fit the format.
    Unsupported,
}

/// Why an archive of images could not be read or written: the kind, what was being done, to
/// which archive, and the cause.
#[derive(Debug)]
pub struct Error(Box<Parts>);

#[derive(Debug)]
struct Parts {
    kind: ErrorKind,
    operation: &'static str,
    archive: PathBuf,
    detail: Cow<'static, str>,
    hint: Option<&'static str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        operation: &'static str,
        archive: &Path,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        let archive = archive.to_owned();
        let detail = detail.into();
        Self(Box::new(Parts { kind, operation, archive, detail, hint: None, source: None }))
    }

    /// An error of the tar file, which names the archive itself.
    pub(crate) fn archive(detail: &'static str, source: cask_archive::Error) -> Self {
        let archive = source.archive().to_owned();
        let kind = ErrorKind::Archive(source.kind());
        Self::new(kind, "", &archive, detail).caused_by(source)
    }

    pub(crate) fn with_hint(mut self, hint: &'static str) -> Self {
        self.0.hint = Some(hint);
        self
    }

    pub(crate) fn caused_by(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was being done, such as `reading`; empty where the source says it.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The archive's path; `(stream)` where it has none.
    pub fn archive_path(&self) -> &Path {
        &self.0.archive
    }

    /// What is wrong, where the source does not say it.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What can be done about it, as a sentence without a full stop.
    pub fn hint(&self) -> Option<&'static str> {
        self.0.hint
    }

    /// Gives the cause away.
    pub fn into_source(self) -> Option<Box<dyn StdError + Send + Sync>> {
        self.0.source
    }

    /// Wraps the error for interfaces that speak of [`io::Error`] only.
    pub(crate) fn into_io(self) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, self)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { operation, archive, detail, .. } = &*self.0;
        if operation.is_empty() {
            return f.write_str(detail);
        }
        write!(f, "{operation} {archive:?}: {detail}")
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
