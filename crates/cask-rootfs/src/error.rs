//! The one error of the crate.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// The result of everything that may fail in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What could not be done to which path of which root.
///
/// `Display` names the operation, the path and the root; the operating system's reason is the
/// [`source`](std::error::Error::source).
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: Operation,
    root: PathBuf,
    path: PathBuf,
    source: Option<io::Error>,
}

/// The kinds of [`Error`]: one for each thing that a caller would do differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no such entry, or a directory on the way to it is missing.
    NotFound,
    /// The name is taken.
    Exists,
    /// Something on the way, or at the end of it, should be a directory and is not.
    NotADirectory,
    /// A regular file was asked for and this is none: a directory, a symbolic link, a FIFO, a device.
    NotAFile,
    /// A directory that should be removed has entries.
    NotEmpty,
    /// More symbolic links than the kernel follows: mostly links in a circle.
    LinkLoop,
    /// A name of more than 255 bytes or a path of more than 4095.
    NameTooLong,
    /// The text is no name: empty, `.`, `..`, with a `/` or with a NUL byte.
    InvalidName,
    /// Who asks is not allowed to.
    Denied,
    /// The disk, or a quota on it, is full.
    NoSpace,
    /// The file system, or the kernel, cannot do this.
    Unsupported,
    /// Another file system is mounted here, or the entry is in use.
    Busy,
    /// The operating system refused otherwise.
    Io,
}

/// What was being done when an [`Error`] arose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Opening the root itself.
    OpenRoot,
    /// Resolving a path to a directory.
    Resolve,
    /// Opening a file for reading.
    OpenFile,
    /// Creating a file.
    CreateFile,
    /// Creating a directory.
    CreateDirectory,
    /// Creating a symbolic link.
    CreateSymlink,
    /// Creating a hard link.
    CreateHardLink,
    /// Creating a device or a FIFO.
    CreateNode,
    /// Asking for type, mode, owner and the like.
    ReadMetadata,
    /// Asking where a symbolic link points.
    ReadLink,
    /// Listing a directory.
    ReadDirectory,
    /// Removing an entry, or a tree.
    Remove,
    /// Giving an entry another name.
    Rename,
    /// Changing an owner.
    SetOwner,
    /// Changing permissions.
    SetMode,
    /// Changing times.
    SetTimes,
    /// Reading extended attributes.
    ReadAttributes,
    /// Changing extended attributes.
    SetAttribute,
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::OpenRoot => "open root filesystem",
            Self::Resolve => "resolve",
            Self::OpenFile => "open file",
            Self::CreateFile => "create file",
            Self::CreateDirectory => "create directory",
            Self::CreateSymlink => "create symbolic link",
            Self::CreateHardLink => "create hard link",
            Self::CreateNode => "create device or FIFO",
            Self::ReadMetadata => "read metadata of",
            Self::ReadLink => "read symbolic link",
            Self::ReadDirectory => "read directory",
            Self::Remove => "remove",
            Self::Rename => "rename",
            Self::SetOwner => "change owner of",
            Self::SetMode => "change mode of",
            Self::SetTimes => "change times of",
            Self::ReadAttributes => "read extended attributes of",
            Self::SetAttribute => "change extended attributes of",
        }
    }
}

impl Error {
    pub(crate) fn system(operation: Operation, root: &Path, path: PathBuf, errno: Errno) -> Self {
        let kind = kind_of(errno);
        let source = Some(io::Error::from(errno));
        Self(Box::new(Inner { kind, operation, root: root.to_owned(), path, source }))
    }

    pub(crate) fn plain(
        kind: ErrorKind,
        operation: Operation,
        root: &Path,
        path: impl AsRef<OsStr>,
    ) -> Self {
        let path = PathBuf::from(path.as_ref());
        Self(Box::new(Inner { kind, operation, root: root.to_owned(), path, source: None }))
    }

    /// What a caller can act on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was being done.
    pub fn operation(&self) -> Operation {
        self.0.operation
    }

    /// The root, as it was named when it was opened.
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// The path in the root; empty for the root itself.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The operating system's number for the reason, where it was asked.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.0.source.as_ref().and_then(io::Error::raw_os_error)
    }
}

fn kind_of(errno: Errno) -> ErrorKind {
    match errno {
        Errno::NOENT => ErrorKind::NotFound,
        Errno::EXIST => ErrorKind::Exists,
        Errno::NOTDIR => ErrorKind::NotADirectory,
        Errno::ISDIR => ErrorKind::NotAFile,
        Errno::NOTEMPTY => ErrorKind::NotEmpty,
        Errno::LOOP => ErrorKind::LinkLoop,
        Errno::NAMETOOLONG => ErrorKind::NameTooLong,
        Errno::ACCESS | Errno::PERM | Errno::ROFS => ErrorKind::Denied,
        Errno::NOSPC | Errno::DQUOT => ErrorKind::NoSpace,
        Errno::OPNOTSUPP | Errno::NOSYS => ErrorKind::Unsupported,
        Errno::BUSY | Errno::XDEV => ErrorKind::Busy,
        _ => ErrorKind::Io,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        write!(f, "cannot {} ", inner.operation.as_str())?;
        if !inner.path.as_os_str().is_empty() {
            write!(f, "{:?} in ", inner.path)?;
        }
        write!(f, "{:?}", inner.root)?;
        match inner.kind {
            ErrorKind::InvalidName => f.write_str(": not a name of one entry"),
            ErrorKind::NotAFile => f.write_str(": not a regular file"),
            ErrorKind::Unsupported if inner.operation == Operation::Resolve => {
                f.write_str(": openat2 is needed (Linux 5.6, and a seccomp filter that allows it)")
            }
            ErrorKind::NotADirectory if inner.source.is_none() => f.write_str(": not a directory"),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("operation", &self.0.operation)
            .field("root", &self.0.root)
            .field("path", &self.0.path)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.source {
            Some(source) => Some(source),
            None => None,
        }
    }
}

impl From<Error> for io::Error {
    /// Puts the error inside an [`io::Error`] of the kind that the operating system's reason has.
    fn from(error: Error) -> Self {
        let kind = match (&error.0.source, error.0.kind) {
            (Some(source), _) => source.kind(),
            (None, ErrorKind::InvalidName) => io::ErrorKind::InvalidInput,
            (None, _) => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn display_names_operation_path_and_root_and_not_the_source() {
        let path = PathBuf::from("etc/pass\nwd");
        let error = Error::system(Operation::OpenFile, Path::new("/r"), path, Errno::ACCESS);
        assert_eq!(error.to_string(), r#"cannot open file "etc/pass\nwd" in "/r""#);
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert!(error.source().is_some());
        let error = Error::plain(ErrorKind::InvalidName, Operation::Remove, Path::new("/r"), "..");
        assert_eq!(error.to_string(), r#"cannot remove ".." in "/r": not a name of one entry"#);
    }
}
