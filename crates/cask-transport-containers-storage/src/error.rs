//! Errors of a store as errors of the seam.

use std::error::Error as StdError;
use std::io;

use cask_storage::ErrorKind as StoreKind;
use cask_transport::{Error, ErrorKind};

/// The kind of the seam's own error that lies beneath.
fn of_source(error: &(dyn StdError + 'static)) -> Option<ErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(own) = error.downcast_ref::<Error>() {
            return Some(own.kind());
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

/// Says the same in the words of the seam.
pub(crate) fn of_storage(error: cask_storage::Error) -> Error {
    let kind = match error.kind() {
        StoreKind::NotFound => ErrorKind::NotFound,
        StoreKind::Gone => ErrorKind::Changed,
        StoreKind::Ambiguous | StoreKind::InvalidName => ErrorKind::InvalidLocation,
        StoreKind::Exists => ErrorKind::AlreadyExists,
        StoreKind::Corrupt | StoreKind::Input => ErrorKind::Corrupt,
        StoreKind::DigestMismatch => ErrorKind::DigestMismatch,
        StoreKind::LimitExceeded => ErrorKind::LimitExceeded,
        StoreKind::Unsupported | StoreKind::InUse => ErrorKind::Unsupported,
        StoreKind::Denied | StoreKind::ReadOnly => ErrorKind::Denied,
        // No space, locks that others hold, and kinds that are yet to come.
        _ => ErrorKind::Io,
    };
    // What failed while a layer was read from a source is the source's error.
    let kind = StdError::source(&error).and_then(of_source).unwrap_or(kind);
    let mut said = Error::new(kind, error.operation().to_owned(), error.subject());
    if let Some(detail) = error.detail() {
        said = said.with_detail(detail.to_owned());
    }
    if let Some(hint) = error.hint() {
        said = said.with_hint(hint.to_owned());
    }
    match error.into_source() {
        Some(source) => match source.downcast::<Error>() {
            Ok(own) => *own,
            Err(source) => said.with_source(source),
        },
        None => said,
    }
}
