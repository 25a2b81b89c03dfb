//! Errors of the archive as errors of the seam.

use std::io;

use cask_archive::ErrorKind as TarKind;
use cask_transport::{Error, ErrorKind};

/// Says the same in the words of the seam.
pub(crate) fn of_tar(error: cask_archive::Error) -> Error {
    let kind = kind_of(&error);
    let detail = error.detail();
    let mut said = Error::new(kind, error.operation(), error.archive().display());
    if !detail.is_empty() {
        said = said.with_detail(detail);
    }
    match error.into_source() {
        Some(source) => said.with_source(source),
        None => said,
    }
}

/// Takes an error out again that came through [`io::Write`] or [`io::Read`].
pub(crate) fn of_io(error: io::Error, operation: &'static str, subject: &str) -> Error {
    match error.downcast::<cask_archive::Error>() {
        Ok(own) => of_tar(own),
        Err(error) => Error::from_io(error, operation, subject),
    }
}

fn kind_of(error: &cask_archive::Error) -> ErrorKind {
    match error.kind() {
        TarKind::NoArchive | TarKind::NoMember => ErrorKind::NotFound,
        TarKind::Exists => ErrorKind::AlreadyExists,
        TarKind::TooLarge => ErrorKind::LimitExceeded,
        TarKind::Unsupported => ErrorKind::Unsupported,
        TarKind::WrongSize => ErrorKind::SizeMismatch,
        TarKind::Io => {
            let source = std::error::Error::source(error);
            let io = source.and_then(|source| source.downcast_ref::<io::Error>());
            match io.map(io::Error::kind) {
                Some(io::ErrorKind::PermissionDenied) => ErrorKind::Denied,
                _ => ErrorKind::Io,
            }
        }
        _ => ErrorKind::Corrupt,
    }
}
