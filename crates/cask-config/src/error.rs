//! The error of this crate.

use std::fmt;
use std::io;
use std::path::Path;

use cask_json::{Position, quoted_as_go};

/// Configuration that cannot be read, or that does not allow what is asked.
///
/// Prints as containers/image does, and adds the place:
/// `loading registries configuration "a.conf": invalid short-name mode: "x" (short-name-mode, line
/// 3 column 19)`.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    /// What was being done, to what.
    context: String,
    message: String,
    key: String,
    position: Option<Position>,
    source: Option<io::Error>,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file that was asked for by name is not there.
    NotFound,
    /// A file or directory cannot be read or written; the source says why.
    Io,
    /// A file is longer, or a directory holds more, than this crate reads.
    TooLarge,
    /// A text is not UTF-8, not TOML, or nested too deeply.
    Syntax,
    /// A text is TOML, and says what no configuration can say.
    Invalid,
    /// A file has the form that was abandoned in 2026.
    Version1,
    /// The configuration forbids the registry.
    Blocked,
    /// What the configuration makes of a reference is not a reference.
    Rewrite,
    /// A name is not one, or is not of the kind that was asked for.
    InvalidName,
    /// A short name stands for nothing.
    Unresolved,
    /// A short name may stand for several images, and nobody can be asked.
    CannotAsk,
    /// An alias that was to be removed is not in the file.
    NoSuchAlias,
    /// Another process holds the lock for too long.
    Locked,
    /// A client certificate has no key, or a key no certificate.
    IncompletePair,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        let (context, key) = (String::new(), String::new());
        Self(Box::new(Inner { kind, context, message, key, position: None, source: None }))
    }

    pub(crate) fn io(doing: &str, path: &Path, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Io,
        };
        let mut error = Self::new(kind, "").doing(doing, path);
        if kind == ErrorKind::NotFound {
            error.0.message = "no such file or directory".into();
        } else {
            error.0.source = Some(source);
        }
        error
    }

    /// Says what was being done to which file.
    pub(crate) fn doing(mut self, doing: &str, path: &Path) -> Self {
        self.0.context = format!("{doing} {}", quoted_as_go(&path.to_string_lossy()));
        self
    }

    pub(crate) fn at(mut self, key: &str, position: Position) -> Self {
        self.0.key = key.into();
        self.0.position = Some(position);
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What went wrong, in words, without file and place; empty where the source says it.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The key at fault, as a path through the document: `registry[1].mirror[0].location`. Empty
    /// where no key is.
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// How many bytes of the text stand before what is at fault; `None` where no text is.
    pub fn offset(&self) -> Option<usize> {
        self.0.position.map(|position| position.offset)
    }

    /// Its line, from 1.
    pub fn line(&self) -> Option<u32> {
        self.0.position.map(|position| position.line)
    }

    /// Its column in bytes, from 1.
    pub fn column(&self) -> Option<u32> {
        self.0.position.map(|position| position.column)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { context, message, key, position, .. } = &*self.0;
        f.write_str(context)?;
        if !context.is_empty() && !message.is_empty() {
            f.write_str(": ")?;
        }
        f.write_str(message)?;
        let Some(Position { line, column, .. }) = position else { return Ok(()) };
        f.write_str(" (")?;
        if !key.is_empty() {
            write!(f, "{key}, ")?;
        }
        write!(f, "line {line} column {column})")
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source as _)
    }
}
