//! Why a tree could not become a layer.

use std::borrow::Cow;
use std::fmt;
use std::io;

/// Why a tree could not be written as a tar stream.
///
/// `Display` names the path in the tree; the cause, where there is one beneath, is the
/// [`source`](std::error::Error::source): a [`cask_rootfs::Error`] or an [`io::Error`].
pub struct DiffError(Box<Inner>);

struct Inner {
    kind: DiffErrorKind,
    path: Vec<u8>,
    detail: Cow<'static, str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The kinds of [`DiffError`]: one for each thing that a caller would do differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DiffErrorKind {
    /// The tree cannot be read.
    Read,
    /// The stream cannot be written.
    Write,
    /// A file became shorter while it was read.
    Changed,
    /// A name or an attribute is longer than a layer can have.
    TooLarge,
    /// An owner that the id maps do not have.
    UnmappedId,
}

impl DiffError {
    pub(super) fn new(
        kind: DiffErrorKind,
        path: &[u8],
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Inner { kind, path: path.to_vec(), detail: detail.into(), source: None }))
    }

    pub(super) fn read(path: &[u8], source: cask_rootfs::Error) -> Self {
        Self(Box::new(Inner {
            kind: DiffErrorKind::Read,
            path: path.to_vec(),
            detail: "it cannot be read".into(),
            source: Some(Box::new(source)),
        }))
    }

    pub(super) fn io(kind: DiffErrorKind, path: &[u8], source: io::Error) -> Self {
        let detail = match kind {
            DiffErrorKind::Write => "the stream cannot be written",
            _ => "it cannot be read",
        };
        Self(Box::new(Inner {
            kind,
            path: path.to_vec(),
            detail: detail.into(),
            source: Some(Box::new(source)),
        }))
    }

    /// Whether there was nothing any more of what should be read.
    pub(super) fn is_of_missing(&self) -> bool {
        let source = self.0.source.as_ref().and_then(|source| source.downcast_ref());
        let is_missing =
            |error: &cask_rootfs::Error| error.kind() == cask_rootfs::ErrorKind::NotFound;
        self.0.kind == DiffErrorKind::Read && source.is_some_and(is_missing)
    }

    /// What a caller can act on.
    pub fn kind(&self) -> DiffErrorKind {
        self.0.kind
    }

    /// The path in the tree; empty where the whole is meant.
    pub fn path(&self) -> &[u8] {
        &self.0.path
    }
}

impl fmt::Display for DiffError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { path, detail, .. } = &*self.0;
        match path.is_empty() {
            true => write!(f, "cannot write the layer: {detail}"),
            false => {
                write!(f, "cannot put \"{}\" into the layer: {detail}", path.escape_ascii())
            }
        }
    }
}

impl fmt::Debug for DiffError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiffError")
            .field("kind", &self.0.kind)
            .field("message", &self.to_string())
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for DiffError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.source {
            Some(source) => Some(&**source),
            None => None,
        }
    }
}
