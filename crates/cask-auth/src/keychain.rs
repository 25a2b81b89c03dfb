use std::fmt;
use std::sync::Arc;

use crate::{Credential, Error, Found, Origin};

/// Something that knows credentials.
///
/// Synchronous: an implementation may read files and run programs. Asynchronous callers ask it on
/// a thread that may block. Implementations do not cache: whoever asks decides how long an answer
/// holds, and a long operation may ask again when a credential is refused.
pub trait Keychain: Send + Sync + fmt::Debug {
    /// Finds the credential for a registry, or for one of its repositories.
    ///
    /// `registry` is `host` or `host:port` as in a reference, lower case, so `docker.io` and not
    /// the host that it is served from; `repository` is the path without registry and tag, as
    /// `library/busybox`. `None` is the answer for anonymous access.
    ///
    /// # Errors
    /// What was asked could not answer. No answer is not an error.
    fn credential(&self, registry: &str, repository: Option<&str>) -> Result<Option<Found>, Error>;
}

impl<K: Keychain + ?Sized> Keychain for &K {
    fn credential(&self, registry: &str, repository: Option<&str>) -> Result<Option<Found>, Error> {
        (**self).credential(registry, repository)
    }
}

impl<K: Keychain + ?Sized> Keychain for Arc<K> {
    fn credential(&self, registry: &str, repository: Option<&str>) -> Result<Option<Found>, Error> {
        (**self).credential(registry, repository)
    }
}

impl<K: Keychain + ?Sized> Keychain for Box<K> {
    fn credential(&self, registry: &str, repository: Option<&str>) -> Result<Option<Found>, Error> {
        (**self).credential(registry, repository)
    }
}

/// A keychain without credentials: access is anonymous.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Anonymous;

impl Keychain for Anonymous {
    fn credential(&self, _: &str, _: Option<&str>) -> Result<Option<Found>, Error> {
        Ok(None)
    }
}

/// One credential for every registry that is asked for: what `--creds` gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed(Credential);

impl Fixed {
    /// A keychain of one credential.
    pub fn new(credential: Credential) -> Self {
        Self(credential)
    }
}

impl Keychain for Fixed {
    fn credential(&self, _: &str, _: Option<&str>) -> Result<Option<Found>, Error> {
        Ok(Some(Found { credential: self.0.clone(), origin: Origin::Given }))
    }
}
