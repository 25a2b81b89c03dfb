//! The error of this crate, and how it travels inside [`io::Error`].

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::Compression;

/// Why something could not be compressed, decompressed or named.
///
/// The readers and writers of this crate speak [`io::Error`], as [`io::Read`] and [`io::Write`]
/// demand. What they find out themselves travels inside it as a value of this type:
/// [`Error::of`] borrows it, and `Error::from(io_error)` takes it out (anything else becomes
/// [`ErrorKind::Io`]). Errors of the reader or writer below are passed on untouched.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    operation: Operation,
    compression: Option<Compression>,
    offset: Option<u64>,
    detail: Cow<'static, str>,
    source: Option<Arc<io::Error>>,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The compressed data breaks the rules of its format, or a checksum does not match.
    Corrupt,
    /// The compressed data ends before its format says that it may.
    Truncated,
    /// A limit of [`DecompressLimits`](crate::DecompressLimits) was passed.
    LimitExceeded {
        /// Which limit.
        what: Limit,
        /// Its value, in the limit's own unit.
        limit: u64,
    },
    /// Valid, but nothing that this crate does: writing xz, a zstd dictionary, and the like.
    Unsupported,
    /// The compression has no such level.
    InvalidLevel,
    /// The text names no compression.
    UnknownName,
    /// A decoder or encoder could not allocate what it needs.
    OutOfMemory,
    /// The reader or writer below failed: [`std::error::Error::source`] says how.
    Io,
}

/// What [`ErrorKind::LimitExceeded`] was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// How many bytes may come out.
    OutputBytes,
    /// How many bytes may come out for each byte that went in.
    Ratio,
    /// How many bytes of memory a stream may ask its decoder to hold.
    MemoryBytes,
}

/// What was being done when an [`Error`] arose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Reading a name such as `gzip`.
    Parse,
    /// Turning compressed bytes into plain ones.
    Decompress,
    /// Turning plain bytes into compressed ones.
    Compress,
    /// Moving bytes, without looking at them.
    Transfer,
}

impl Error {
    pub(crate) fn decompress(
        kind: ErrorKind,
        compression: Compression,
        offset: u64,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            kind,
            operation: Operation::Decompress,
            compression: Some(compression),
            offset: Some(offset),
            detail: detail.into(),
            source: None,
        }
    }

    /// Too many bytes of a stream that is not compressed.
    pub(crate) fn plain_limit(what: Limit, limit: u64) -> Self {
        Self {
            kind: ErrorKind::LimitExceeded { what, limit },
            operation: Operation::Transfer,
            compression: Some(Compression::None),
            offset: None,
            detail: Cow::Borrowed(""),
            source: None,
        }
    }

    pub(crate) fn compress(
        kind: ErrorKind,
        compression: Compression,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            kind,
            operation: Operation::Compress,
            compression: Some(compression),
            offset: None,
            detail: detail.into(),
            source: None,
        }
    }

    pub(crate) fn unknown_name(detail: String) -> Self {
        Self {
            kind: ErrorKind::UnknownName,
            operation: Operation::Parse,
            compression: None,
            offset: None,
            detail: detail.into(),
            source: None,
        }
    }

    /// The same failure told once more, after the original went to the caller.
    pub(crate) fn again(operation: Operation, kind: io::ErrorKind, detail: &'static str) -> Self {
        Self {
            kind: ErrorKind::Io,
            operation,
            compression: None,
            offset: None,
            detail: detail.into(),
            source: Some(Arc::new(kind.into())),
        }
    }

    /// What a caller can act on.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What was being done.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// The compression concerned, where one is known.
    pub fn compression(&self) -> Option<Compression> {
        self.compression
    }

    /// How many bytes of the compressed input come before the fault, where that is known.
    ///
    /// It tells how far decoding had come, which is near the damage and not always at it: bzip2
    /// notices at the end of a block of up to 900 kB, and for zstd the number may lie up to 64 KiB
    /// before the damage. For [`Truncated`](ErrorKind::Truncated) it is the length of the input.
    pub fn offset(&self) -> Option<u64> {
        self.offset
    }

    /// Finds an error of this crate in an [`io::Error`], also where others have wrapped it.
    ///
    /// ```
    /// use cask_layer::{Compression, DecompressLimits, Error, ErrorKind, decompress};
    ///
    /// let cut_short = &[0x1f, 0x8b, 0x08, 0x00][..];
    /// let reader = decompress(cut_short, Compression::Gzip, DecompressLimits::default());
    /// let error = std::io::read_to_string(reader).unwrap_err();
    /// assert_eq!(Error::of(&error).map(Error::kind), Some(ErrorKind::Truncated));
    /// ```
    pub fn of(error: &io::Error) -> Option<&Self> {
        let mut next: Option<&(dyn std::error::Error + 'static)> = match error.get_ref() {
            Some(inner) => Some(inner),
            None => None,
        };
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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.compression.map_or("compressed", Compression::as_str);
        let detail = &self.detail;
        let at = |f: &mut fmt::Formatter<'_>| match self.offset {
            Some(offset) => write!(f, " at byte {offset}"),
            None => Ok(()),
        };
        match self.kind {
            ErrorKind::Corrupt => {
                write!(f, "corrupt {name} data")?;
                at(f)?;
                write!(f, ": {detail}")
            }
            ErrorKind::Truncated => {
                write!(f, "{name} data ends too early,")?;
                at(f)?;
                write!(f, ": {detail}")
            }
            ErrorKind::LimitExceeded { what, limit } => {
                write!(f, "{name} data")?;
                at(f)?;
                match what {
                    Limit::OutputBytes => {
                        write!(f, ": the output exceeds the limit of {limit} bytes")
                    }
                    Limit::Ratio => {
                        write!(f, ": the output exceeds the limit of {limit} times the input")
                    }
                    Limit::MemoryBytes => {
                        write!(f, ": decoding exceeds the limit of {limit} bytes of memory")
                    }
                }
            }
            ErrorKind::Unsupported if self.operation == Operation::Decompress => {
                write!(f, "unsupported {name} data")?;
                at(f)?;
                write!(f, ": {detail}")
            }
            _ => f.write_str(detail),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        }
    }
}

impl From<Error> for io::Error {
    /// Puts the error inside an [`io::Error`], of kind `InvalidData` for damage and limits,
    /// `UnexpectedEof` for truncation, and the source's own kind for [`ErrorKind::Io`].
    fn from(error: Error) -> Self {
        let kind = match error.kind {
            ErrorKind::Corrupt | ErrorKind::LimitExceeded { .. } => io::ErrorKind::InvalidData,
            ErrorKind::Truncated => io::ErrorKind::UnexpectedEof,
            ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            ErrorKind::InvalidLevel | ErrorKind::UnknownName => io::ErrorKind::InvalidInput,
            ErrorKind::OutOfMemory => io::ErrorKind::OutOfMemory,
            ErrorKind::Io => {
                error.source.as_ref().map_or(io::ErrorKind::Other, |source| source.kind())
            }
        };
        Self::new(kind, error)
    }
}

impl From<io::Error> for Error {
    /// Takes the error of this crate out of an [`io::Error`], or makes one of [`ErrorKind::Io`]
    /// that has the other as its source.
    fn from(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(error) => error,
            Err(error) => match Self::of(&error) {
                Some(found) => found.clone(),
                None => Self {
                    kind: ErrorKind::Io,
                    operation: Operation::Transfer,
                    compression: None,
                    offset: None,
                    detail: "cannot read or write layer data".into(),
                    source: Some(Arc::new(error)),
                },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    fn corrupt() -> Error {
        Error::decompress(ErrorKind::Corrupt, Compression::Gzip, 17, "wrong checksum")
    }

    #[test]
    fn display_names_format_offset_and_reason() {
        let check = |kind, detail: &'static str, expected: &str| {
            let error = Error::decompress(kind, Compression::Zstd, 17, detail);
            assert_eq!(error.to_string(), expected);
        };
        check(ErrorKind::Corrupt, "bad block", "corrupt zstd data at byte 17: bad block");
        check(
            ErrorKind::Truncated,
            "a frame is not complete",
            "zstd data ends too early, at byte 17: a frame is not complete",
        );
        check(
            ErrorKind::LimitExceeded { what: Limit::OutputBytes, limit: 5 },
            "",
            "zstd data at byte 17: the output exceeds the limit of 5 bytes",
        );
        check(
            ErrorKind::LimitExceeded { what: Limit::Ratio, limit: 5 },
            "",
            "zstd data at byte 17: the output exceeds the limit of 5 times the input",
        );
        check(
            ErrorKind::LimitExceeded { what: Limit::MemoryBytes, limit: 5 },
            "",
            "zstd data at byte 17: decoding exceeds the limit of 5 bytes of memory",
        );
        check(
            ErrorKind::Unsupported,
            "it needs a dictionary",
            "unsupported zstd data at byte 17: it needs a dictionary",
        );
    }

    #[test]
    fn error_is_found_however_deep_it_is_wrapped() {
        let plain = io::Error::from(corrupt());
        assert_eq!(Error::of(&plain).and_then(Error::offset), Some(17));
        let wrapped = io::Error::other(io::Error::other(plain));
        assert_eq!(Error::of(&wrapped).and_then(Error::offset), Some(17));
        assert_eq!(Error::from(wrapped).kind(), ErrorKind::Corrupt);
        assert!(Error::of(&io::Error::from(io::ErrorKind::NotFound)).is_none());
        assert!(Error::of(&io::Error::other("text")).is_none());
    }

    #[test]
    fn foreign_errors_become_the_source() {
        let error = Error::from(io::Error::other("the disk is on fire"));
        assert_eq!(error.kind(), ErrorKind::Io);
        assert_eq!(error.operation(), Operation::Transfer);
        assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("the disk is on fire"));
        assert!(!error.to_string().contains("fire"), "display does not repeat its source");
    }
}
