//! Locations: parsed, cheap, and inert until asked.

use std::fmt;

use async_trait::async_trait;
use cask_reference::Reference;

use crate::{
    Capabilities, Collection, Error, ErrorKind, Result, Transaction, VerifiedSource, WriteOptions,
};

/// Under which names the signature policy looks a location up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyIdentity {
    /// The canonical name of the image: for path transports the absolute path without symbolic
    /// links, with a `:` and the name where there is one. Empty if the transport has only one
    /// scope.
    pub identity: String,
    /// Scopes that contain it, the most specific first.
    pub namespaces: Vec<String>,
}

/// A place for one image, or for a set of images.
///
/// `Display` prints the scheme and what follows; parsing that gives an equal location. Nothing is
/// read, written or connected before one of the asynchronous methods is called.
#[async_trait]
pub trait Location: fmt::Debug + fmt::Display + Send + Sync {
    /// The scheme before the first colon.
    fn scheme(&self) -> &'static str;

    /// What the place can hold and do.
    fn capabilities(&self) -> Capabilities;

    /// The image reference that the location stands for, where it has one.
    fn reference(&self) -> Option<&Reference> {
        None
    }

    /// The name that the image has in its collection, where the location gives one.
    fn name(&self) -> Option<String> {
        None
    }

    /// Under which names the signature policy looks the location up.
    ///
    /// # Errors
    /// `NotFound` or `Io` where the canonical name depends on a path that cannot be resolved.
    fn policy_identity(&self) -> Result<PolicyIdentity>;

    /// Opens the place for reading.
    ///
    /// # Errors
    /// `NotFound` if there is nothing; `Unsupported` if it cannot be read.
    async fn source(&self) -> Result<VerifiedSource>;

    /// Begins to write. Nothing is visible before the transaction is committed.
    ///
    /// # Errors
    /// `AlreadyExists` if something is there that must not be overwritten; `Unsupported` if the
    /// place cannot be written.
    async fn begin(&self, _options: &WriteOptions) -> Result<Box<dyn Transaction>> {
        Err(Error::new(ErrorKind::Unsupported, "writing to", self)
            .with_detail("this transport can only be read"))
    }

    /// Opens the set of images that the place is in.
    ///
    /// # Errors
    /// `Unsupported` if it holds just one.
    async fn collection(&self) -> Result<Box<dyn Collection>> {
        Err(Error::new(ErrorKind::Unsupported, "opening", self)
            .with_detail("this transport holds one image, not several"))
    }
}
