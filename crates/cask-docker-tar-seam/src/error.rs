//! Errors of the archive as errors of the seam.

use std::io;

use cask_archive::ErrorKind as TarKind;
use cask_docker_tar::ErrorKind as DockerKind;
use cask_transport::{Error, ErrorKind};

/// Says the same in the words of the seam.
pub fn of_docker_tar(error: cask_docker_tar::Error) -> Error {
    let kind = match error.kind() {
        DockerKind::Archive(_) => {
            let source = std::error::Error::source(&error);
            let tar = source.and_then(|source| source.downcast_ref::<cask_archive::Error>());
            tar.map_or(ErrorKind::Io, kind_of_archive)
        }
        DockerKind::NotDockerArchive | DockerKind::Malformed => ErrorKind::Corrupt,
        DockerKind::NoImage | DockerKind::NoLayer => ErrorKind::NotFound,
        DockerKind::Ambiguous => ErrorKind::InvalidLocation,
        DockerKind::DigestMismatch => ErrorKind::DigestMismatch,
        DockerKind::Unsupported => ErrorKind::Unsupported,
        // A kind that is yet to come.
        _ => ErrorKind::Corrupt,
    };
    let mut said = match error.operation() {
        "" => Error::new(kind, error.detail().to_owned(), ""),
        operation => Error::new(kind, operation, error.archive_path().display())
            .with_detail(error.detail().to_owned()),
    };
    if let Some(hint) = error.hint() {
        said = said.with_hint(hint);
    }
    match error.into_source() {
        Some(source) => said.with_source(source),
        None => said,
    }
}

/// The same for errors of the tar file itself.
pub fn of_archive(error: cask_archive::Error) -> Error {
    let mut said =
        Error::new(kind_of_archive(&error), error.operation(), error.archive().display());
    let detail = error.detail();
    if !detail.is_empty() {
        said = said.with_detail(detail);
    }
    match error.into_source() {
        Some(source) => said.with_source(source),
        None => said,
    }
}

/// Takes an error out again that came through [`io::Write`] or [`io::Read`].
pub fn of_io(error: io::Error, operation: &'static str, subject: &str) -> Error {
    match error.downcast::<cask_archive::Error>() {
        Ok(own) => of_archive(own),
        Err(error) => Error::from_io(error, operation, subject),
    }
}

fn kind_of_archive(error: &cask_archive::Error) -> ErrorKind {
    match error.kind() {
        TarKind::NoArchive => ErrorKind::NotFound,
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
