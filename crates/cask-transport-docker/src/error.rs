//! Errors of a registry as errors of the seam.

use cask_registry::ErrorKind as RegistryKind;
use cask_transport::{Error, ErrorKind};

/// Says the same in the words of the seam. What the body of an upload had to say comes back as it
/// was.
pub(crate) fn of_registry(error: cask_registry::Error) -> Error {
    let kind = match error.kind() {
        RegistryKind::NotFound => ErrorKind::NotFound,
        RegistryKind::Unauthorized => ErrorKind::Unauthorized,
        RegistryKind::Denied => ErrorKind::Denied,
        RegistryKind::RateLimited => ErrorKind::RateLimited,
        RegistryKind::ManifestRefused => ErrorKind::ManifestRefused,
        RegistryKind::DigestMismatch => ErrorKind::DigestMismatch,
        RegistryKind::SizeMismatch => ErrorKind::SizeMismatch,
        RegistryKind::LimitExceeded => ErrorKind::LimitExceeded,
        RegistryKind::Unsupported => ErrorKind::Unsupported,
        RegistryKind::Corrupt => ErrorKind::Corrupt,
        _ => ErrorKind::Network,
    };
    let message = error.to_string();
    let hint = error.hint().map(str::to_owned);
    let said = Error::new(kind, message, "");
    let said = match hint {
        Some(hint) => said.with_hint(hint),
        None => said,
    };
    match error.into_source().map(|source| source.downcast::<Error>()) {
        Some(Ok(own)) => *own,
        Some(Err(source)) => said.with_source(source),
        None => said,
    }
}

/// Says why a name leads to no registry.
pub(crate) fn of_config(error: cask_config::Error) -> Error {
    let kind = match error.kind() {
        cask_config::ErrorKind::Blocked => ErrorKind::Denied,
        _ => ErrorKind::InvalidLocation,
    };
    Error::new(kind, "", "").with_source(error)
}
