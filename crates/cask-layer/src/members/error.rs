//! What is wrong with a tar stream, and where.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;

/// Why a tar stream could not be read.
///
/// It travels inside [`io::Error`] where [`io::Read`] demands that; [`TarError::of`] finds it.
#[derive(Clone, Debug)]
pub struct TarError {
    kind: TarErrorKind,
    offset: u64,
    member: Option<Vec<u8>>,
    detail: Cow<'static, str>,
    source: Option<Arc<io::Error>>,
}

/// The kinds of [`TarError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TarErrorKind {
    /// A header breaks the rules: its checksum, a number, an extended record, a sparse map.
    Corrupt,
    /// The stream ends inside a header or a payload.
    Truncated,
    /// Headers are larger than [`MemberLimits`](crate::MemberLimits) allow.
    TooLarge,
    /// The reader below failed: [`std::error::Error::source`] says how.
    Io,
}

impl TarError {
    pub(super) fn new(
        kind: TarErrorKind,
        offset: u64,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { kind, offset, member: None, detail: detail.into(), source: None }
    }

    pub(super) fn io(offset: u64, source: io::Error) -> Self {
        Self {
            kind: TarErrorKind::Io,
            offset,
            member: None,
            detail: Cow::Borrowed(""),
            source: Some(Arc::new(source)),
        }
    }

    /// Adds the name of the member, if there is one and none is known yet.
    pub(super) fn about(mut self, member: &[u8]) -> Self {
        if self.member.is_none() && !member.is_empty() {
            self.member = Some(member.to_vec());
        }
        self
    }

    /// What a caller can act on.
    pub fn kind(&self) -> TarErrorKind {
        self.kind
    }

    /// How many bytes of the tar stream come before the faulty header, or, for
    /// [`Truncated`](TarErrorKind::Truncated) and [`Io`](TarErrorKind::Io), before the place where
    /// more was expected.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The name of the member concerned, as far as it was known.
    pub fn member(&self) -> Option<&[u8]> {
        self.member.as_deref()
    }

    /// Finds an error of this type in an [`io::Error`], also where others have wrapped it.
    pub fn of(error: &io::Error) -> Option<&Self> {
        let mut next = error.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static));
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(found);
            }
            next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
                Some(inner) => Some(inner),
                None => error.source(),
            };
        }
        None
    }
}

impl fmt::Display for TarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, detail, .. } = self;
        match self.kind {
            TarErrorKind::Corrupt => write!(f, "corrupt tar header at byte {offset}")?,
            TarErrorKind::Truncated => write!(f, "tar stream ends too early, at byte {offset}")?,
            TarErrorKind::TooLarge => write!(f, "tar header too large, at byte {offset}")?,
            TarErrorKind::Io => write!(f, "cannot read the tar stream at byte {offset}")?,
        }
        if let Some(member) = &self.member {
            write!(f, " (member \"{}\")", member.escape_ascii())?;
        }
        if detail.is_empty() { Ok(()) } else { write!(f, ": {detail}") }
    }
}

impl std::error::Error for TarError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<TarError> for io::Error {
    fn from(error: TarError) -> Self {
        let kind = match (error.kind, &error.source) {
            (TarErrorKind::Truncated, _) => io::ErrorKind::UnexpectedEof,
            (TarErrorKind::Io, Some(source)) => source.kind(),
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
