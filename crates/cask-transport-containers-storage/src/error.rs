//! Errors of a store as errors of the seam.

use cask_storage::ErrorKind as StoreKind;
use cask_transport::{Error, ErrorKind};

/// Says the same in the words of the seam.
pub(crate) fn of_storage(error: cask_storage::Error) -> Error {
    let kind = match error.kind() {
        StoreKind::NotFound => ErrorKind::NotFound,
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
    let mut said = Error::new(kind, error.operation().to_owned(), error.subject());
    if let Some(detail) = error.detail() {
        said = said.with_detail(detail.to_owned());
    }
    if let Some(hint) = error.hint() {
        said = said.with_hint(hint.to_owned());
    }
    match error.into_source() {
        // What failed while a layer was read from a source is the source's error.
        Some(source) => match source.downcast::<Error>() {
            Ok(own) => *own,
            Err(source) => said.with_source(source),
        },
        None => said,
    }
}
