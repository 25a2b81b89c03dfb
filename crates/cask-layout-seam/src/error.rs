//! Errors of a layout as errors of the seam.

use cask_layout::ErrorKind as LayoutKind;
use cask_transport::{Error, ErrorKind};

/// Says the same in the words of the seam.
pub fn of_layout(error: cask_layout::Error) -> Error {
    let kind = match error.kind() {
        LayoutKind::NotFound => ErrorKind::NotFound,
        LayoutKind::Ambiguous | LayoutKind::InvalidName => ErrorKind::InvalidLocation,
        LayoutKind::Unsafe | LayoutKind::Corrupt => ErrorKind::Corrupt,
        LayoutKind::DigestMismatch => ErrorKind::DigestMismatch,
        LayoutKind::SizeMismatch => ErrorKind::SizeMismatch,
        LayoutKind::LimitExceeded => ErrorKind::LimitExceeded,
        LayoutKind::Unsupported => ErrorKind::Unsupported,
        LayoutKind::Denied => ErrorKind::Denied,
        // A layout that others keep locked, and kinds that are yet to come.
        _ => ErrorKind::Io,
    };
    let mut said = Error::new(kind, error.operation().to_owned(), error.subject());
    if let Some(detail) = error.detail() {
        said = said.with_detail(detail.to_owned());
    }
    if let Some(hint) = error.hint() {
        said = said.with_hint(hint.to_owned());
    }
    match error.into_source() {
        Some(source) => said.with_source(source),
        None => said,
    }
}

/// Says that a text names no image and no layout.
pub fn of_name(error: &cask_layout::NameError) -> Error {
    Error::new(ErrorKind::InvalidLocation, "", "").with_detail(error.to_string())
}
