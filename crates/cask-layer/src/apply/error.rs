//! Why a layer could not be extracted, and at which member.

use std::borrow::Cow;
use std::fmt;
use std::io;

use crate::{TarError, TarErrorKind};

/// Why a layer could not be applied to a root.
///
/// `Display` names the member and says what was wrong; the cause, where there is one beneath, is the
/// [`source`](std::error::Error::source): a [`TarError`], a [`cask_rootfs::Error`] or an [`io::Error`].
pub struct ApplyError(Box<Inner>);

struct Inner {
    kind: ApplyErrorKind,
    member: Option<Vec<u8>>,
    detail: Cow<'static, str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The kinds of [`ApplyError`]: one for each thing that a caller would do differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ApplyErrorKind {
    /// The stream is no valid layer: a broken header, a link to nothing, a name that cannot be.
    InvalidLayer,
    /// The stream ends too early.
    Truncated,
    /// A stated limit was exceeded.
    LimitExceeded,
    /// An owner that the id maps do not have.
    UnmappedId,
    /// The disk, or a quota on it, is full.
    NoSpace,
    /// Who extracts is not allowed to: to change owners, create devices, set attributes.
    Denied,
    /// The file system, or the kernel, cannot do what the layer asks for.
    Unsupported,
    /// The reader of the stream failed, or who observes it.
    Input,
    /// The operating system refused otherwise.
    Io,
}

impl ApplyError {
    pub(super) fn new(
        kind: ApplyErrorKind,
        member: &[u8],
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        let member = Some(member.to_vec());
        Self(Box::new(Inner { kind, member, detail: detail.into(), source: None }))
    }

    pub(super) fn root(member: &[u8], source: cask_rootfs::Error) -> Self {
        use cask_rootfs::ErrorKind as Kind;
        let (kind, detail) = match source.kind() {
            Kind::NotFound | Kind::NotADirectory | Kind::LinkLoop => {
                (ApplyErrorKind::InvalidLayer, "its place cannot be reached")
            }
            Kind::NameTooLong | Kind::InvalidName => {
                (ApplyErrorKind::InvalidLayer, "its name cannot be")
            }
            Kind::Denied => (ApplyErrorKind::Denied, ""),
            Kind::NoSpace => (ApplyErrorKind::NoSpace, "the disk or a quota is full"),
            Kind::Unsupported => (ApplyErrorKind::Unsupported, ""),
            _ => (ApplyErrorKind::Io, ""),
        };
        Self(Box::new(Inner {
            kind,
            member: Some(member.to_vec()),
            detail: detail.into(),
            source: Some(Box::new(source)),
        }))
    }

    pub(super) fn system(
        member: &[u8],
        detail: &'static str,
        source: impl Into<io::Error>,
    ) -> Self {
        let source = source.into();
        let kind = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ApplyErrorKind::NoSpace,
            io::ErrorKind::PermissionDenied => ApplyErrorKind::Denied,
            io::ErrorKind::Unsupported => ApplyErrorKind::Unsupported,
            _ => ApplyErrorKind::Io,
        };
        Self(Box::new(Inner {
            kind,
            member: Some(member.to_vec()),
            detail: detail.into(),
            source: Some(Box::new(source)),
        }))
    }

    /// What a caller can act on.
    pub fn kind(&self) -> ApplyErrorKind {
        self.0.kind
    }

    /// The name of the member concerned, as the stream has it.
    pub fn member(&self) -> Option<&[u8]> {
        self.0.member.as_deref()
    }
}

impl From<TarError> for ApplyError {
    fn from(source: TarError) -> Self {
        let kind = match source.kind() {
            TarErrorKind::Corrupt => ApplyErrorKind::InvalidLayer,
            TarErrorKind::Truncated => ApplyErrorKind::Truncated,
            TarErrorKind::TooLarge => ApplyErrorKind::LimitExceeded,
            TarErrorKind::Io => ApplyErrorKind::Input,
        };
        let member = source.member().map(<[u8]>::to_vec);
        let detail = "the stream cannot be read".into();
        Self(Box::new(Inner { kind, member, detail, source: Some(Box::new(source)) }))
    }
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        match &inner.member {
            Some(member) => write!(f, "cannot extract \"{}\"", member.escape_ascii())?,
            None => f.write_str("cannot extract the layer")?,
        }
        if inner.detail.is_empty() { Ok(()) } else { write!(f, ": {}", inner.detail) }
    }
}

impl fmt::Debug for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApplyError")
            .field("kind", &self.0.kind)
            .field("message", &self.to_string())
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for ApplyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.source {
            Some(source) => Some(&**source),
            None => None,
        }
    }
}
