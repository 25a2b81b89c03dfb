//! What can go wrong with an archive.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The result of reading or writing an archive.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kinds of [`Error`]: each one is something that a caller may act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refused; the source is an [`io::Error`].
    Io,
    /// There is no file at the archive's path.
    NoArchive,
    /// The archive ends before it is complete: an interrupted download or copy.
    Truncated,
    /// The bytes are not a tar archive, or contradict themselves.
    Malformed,
    /// A member's name or link leaves the archive, or is no usable name.
    UnsafeName,
    /// The archive uses something that this crate refuses, such as sparse files.
    Unsupported,
    /// A stated limit would be exceeded.
    TooLarge,
    /// Two members have the name that was asked for, or that is to be written.
    Duplicate,
    /// No member has the name that was asked for.
    NoMember,
    /// The member that was asked for is no regular file.
    NotAFile,
    /// The file to be written exists, and was not to be replaced.
    Exists,
    /// A member's data has not the size that was announced.
    WrongSize,
    /// Members that were begun are not finished, so the archive cannot be.
    Unfinished,
}

/// Why an archive could not be read or written: the kind, what was being done, to which archive
/// and member, and the cause.
#[derive(Debug)]
pub struct Error(Box<Parts>);

#[derive(Debug)]
struct Parts {
    kind: ErrorKind,
    operation: &'static str,
    archive: PathBuf,
    member: Option<String>,
    offset: Option<u64>,
    detail: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        operation: &'static str,
        archive: &Path,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Parts {
            kind,
            operation,
            archive: archive.to_owned(),
            member: None,
            offset: None,
            detail: detail.into(),
            source: None,
        }))
    }

    /// The archive could not be opened; that there is none gets its own kind.
    pub(crate) fn open(archive: &Path, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::NotFound => ErrorKind::NoArchive,
            _ => ErrorKind::Io,
        };
        Self::new(kind, "opening", archive, "").caused_by(source)
    }

    /// An error of the operating system.
    pub(crate) fn io(operation: &'static str, archive: &Path, source: io::Error) -> Self {
        Self::new(ErrorKind::Io, operation, archive, "").caused_by(source)
    }

    pub(crate) fn member(mut self, name: &[u8]) -> Self {
        self.0.member = Some(shown(name));
        self
    }

    pub(crate) fn at(mut self, offset: u64) -> Self {
        self.0.offset = Some(offset);
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

    /// What was being done, such as `reading`.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The archive's path; `(stream)` where it has none.
    pub fn archive(&self) -> &Path {
        &self.0.archive
    }

    /// The name of the member that it is about, shortened for people.
    pub fn member_name(&self) -> Option<&str> {
        self.0.member.as_deref()
    }

    /// How many bytes into the (decompressed) archive the problem is.
    pub fn offset(&self) -> Option<u64> {
        self.0.offset
    }

    /// What is wrong with what: the member, the offset and the words for it. Empty where only
    /// the source says it.
    pub fn detail(&self) -> String {
        let parts = &self.0;
        let member = parts.member.as_ref().map(|member| format!("member {member:?}"));
        let offset = parts.offset.map(|offset| format!("at byte {offset}"));
        let place: Vec<String> = member.into_iter().chain(offset).collect();
        match (place.join(", "), &*parts.detail) {
            (place, "") => place,
            (place, detail) if place.is_empty() => detail.to_owned(),
            (place, detail) => format!("{place}: {detail}"),
        }
    }

    /// Gives the cause away.
    pub fn into_source(self) -> Option<Box<dyn StdError + Send + Sync>> {
        self.0.source
    }

    /// Wraps the error for interfaces that speak of [`io::Error`] only.
    pub(crate) fn into_io(self) -> io::Error {
        let source = self.source().and_then(|source| source.downcast_ref::<io::Error>());
        let kind = match (self.kind(), source) {
            (ErrorKind::Truncated, _) => io::ErrorKind::UnexpectedEof,
            (ErrorKind::WrongSize, _) => io::ErrorKind::InvalidInput,
            (ErrorKind::Io, Some(source)) => source.kind(),
            (ErrorKind::Io | ErrorKind::Unfinished, _) => io::ErrorKind::Other,
            _ => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, self)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { operation, archive, .. } = &*self.0;
        match self.detail() {
            detail if detail.is_empty() => write!(f, "{operation} {archive:?}"),
            detail => write!(f, "{operation} {archive:?}: {detail}"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// A name for an error message: at most 200 bytes of it, and always text.
fn shown(name: &[u8]) -> String {
    const MAX: usize = 200;
    let mut text = String::from_utf8_lossy(&name[..name.len().min(MAX)]).into_owned();
    if name.len() > MAX {
        text.push('…');
    }
    text
}
