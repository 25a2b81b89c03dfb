//! What is wrong with a tar-split file, or with the files that it speaks of.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;

/// Why a tar stream could not be put together again.
///
/// It travels inside [`io::Error`]; [`TarSplitError::of`] finds it.
#[derive(Clone, Debug)]
pub struct TarSplitError {
    kind: TarSplitErrorKind,
    /// The number of the entry, from 0.
    entry: u64,
    name: Option<Vec<u8>>,
    detail: Cow<'static, str>,
    source: Option<Arc<io::Error>>,
}

/// The kinds of [`TarSplitError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TarSplitErrorKind {
    /// The tar-split file is damaged: a line is not what it should be.
    Corrupt,
    /// A line of the tar-split file is longer than anything that is written.
    TooLarge,
    /// A file is not what it was when the layer was made.
    Changed,
    /// A file could not be opened or read: [`std::error::Error::source`] says why.
    File,
    /// The tar-split file could not be read: [`std::error::Error::source`] says why.
    Io,
}

impl TarSplitError {
    pub(super) fn new(
        kind: TarSplitErrorKind,
        entry: u64,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { kind, entry, name: None, detail: detail.into(), source: None }
    }

    pub(super) fn about(mut self, name: &[u8]) -> Self {
        self.name = Some(name.to_vec());
        self
    }

    pub(super) fn because(mut self, source: io::Error) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// What a caller can act on.
    pub fn kind(&self) -> TarSplitErrorKind {
        self.kind
    }

    /// The number of the entry concerned, counted from 0.
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// The name of the file concerned, where one is.
    pub fn name(&self) -> Option<&[u8]> {
        self.name.as_deref()
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

/// A name between quotes, as Go's `%q` has it for all usual names.
struct Quoted<'a>(&'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(self.0) {
            Ok(name) => write!(f, "{name:?}"),
            Err(_) => write!(f, "\"{}\"", self.0.escape_ascii()),
        }
    }
}

impl fmt::Display for TarSplitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Quoted(self.name.as_deref().unwrap_or_default());
        let Self { entry, detail, .. } = self;
        match self.kind {
            TarSplitErrorKind::Corrupt => write!(f, "corrupt tar-split data, entry {entry}")?,
            TarSplitErrorKind::TooLarge => write!(f, "tar-split entry {entry} is too large")?,
            // The words of the field's tools.
            TarSplitErrorKind::Changed => {
                return write!(f, "file integrity checksum failed for {name}");
            }
            TarSplitErrorKind::File => return write!(f, "cannot read the file {name}"),
            TarSplitErrorKind::Io => write!(f, "cannot read tar-split data, entry {entry}")?,
        }
        if detail.is_empty() { Ok(()) } else { write!(f, ": {detail}") }
    }
}

impl std::error::Error for TarSplitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<TarSplitError> for io::Error {
    fn from(error: TarSplitError) -> Self {
        let kind = match &error.source {
            Some(source) => source.kind(),
            None => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
