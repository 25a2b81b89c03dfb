//! `memory:` and what follows.

use std::fmt;

use async_trait::async_trait;
use cask_reference::Reference;
use cask_transport::{
    Capabilities, Collection, Error, ErrorKind, Location, PolicyIdentity, Result, Transaction,
    Transport, VerifiedSource, WriteOptions,
};

use super::behaviour::Failure;
use super::call::Call;
use super::collection::MemoryCollection;
use super::source::MemorySource;
use super::store::MemoryStore;
use super::transaction::MemoryTransaction;

const SCHEME: &str = "memory";

/// The `memory:` transport of one store.
#[derive(Clone, Debug)]
pub struct MemoryTransport(
    /// Where the images are.
    pub MemoryStore,
);

impl Transport for MemoryTransport {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn parse(&self, rest: &str) -> Result<Box<dyn Location>> {
        Ok(Box::new(MemoryLocation::parse(&self.0, rest)?))
    }

    fn validate_policy_scope(&self, scope: &str) -> Result<()> {
        MemoryLocation::parse(&self.0, scope).map(drop)
    }
}

/// An image of a shelf.
#[derive(Clone)]
pub(super) struct MemoryLocation {
    pub(super) store: MemoryStore,
    pub(super) shelf: String,
    pub(super) name: Option<String>,
    reference: Option<Reference>,
}

impl MemoryLocation {
    pub(super) fn parse(store: &MemoryStore, rest: &str) -> Result<Self> {
        let invalid = |detail: &'static str| {
            Error::new(ErrorKind::InvalidLocation, "parsing", format!("{rest:?}"))
                .with_detail(detail)
        };
        let (shelf, name) = match rest.split_once(':') {
            Some((_, "")) => return Err(invalid("no name follows the colon")),
            Some((shelf, name)) => (shelf, Some(name.to_owned())),
            None => (rest, None),
        };
        if shelf.is_empty() {
            return Err(invalid("a shelf has a name"));
        }
        let reference = match &name {
            Some(name) if name.contains('@') => Some(
                Reference::parse_normalized(name)
                    .map_err(|error| invalid("the name is no reference").with_source(error))?,
            ),
            _ => None,
        };
        Ok(Self { store: store.clone(), shelf: shelf.to_owned(), name, reference })
    }
}

impl fmt::Debug for MemoryLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryLocation({self})")
    }
}

impl fmt::Display for MemoryLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}:{}", self.shelf)?;
        match &self.name {
            Some(name) => write!(f, ":{name}"),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Location for MemoryLocation {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn capabilities(&self) -> Capabilities {
        self.store.state().capabilities.clone()
    }

    fn reference(&self) -> Option<&Reference> {
        self.reference.as_ref()
    }

    fn name(&self) -> Option<String> {
        self.name.clone()
    }

    fn policy_identity(&self) -> Result<PolicyIdentity> {
        let identity = self.to_string().split_off(SCHEME.len() + 1);
        let namespaces = self.name.iter().map(|_| self.shelf.clone()).collect();
        Ok(PolicyIdentity { identity, namespaces })
    }

    async fn source(&self) -> Result<VerifiedSource> {
        self.store.call(Call::Open);
        self.store.fail(Failure::Open, "opening")?;
        if !self.capabilities().read {
            return Err(Error::new(ErrorKind::Unsupported, "reading", self)
                .with_detail("this transport can only be written"));
        }
        if !self.store.state().shelves.contains_key(&self.shelf) {
            return Err(Error::new(ErrorKind::NotFound, "opening", self));
        }
        Ok(VerifiedSource::new(MemorySource { location: self.clone() }))
    }

    async fn begin(&self, options: &WriteOptions) -> Result<Box<dyn Transaction>> {
        self.store.call(Call::Begin);
        self.store.fail(Failure::Begin, "beginning to write")?;
        let capabilities = self.capabilities();
        let unsupported = |detail: &'static str| {
            Err(Error::new(ErrorKind::Unsupported, "writing to", self).with_detail(detail))
        };
        if !capabilities.write {
            return unsupported("this transport can only be read");
        }
        if !options.additional_names.is_empty() && !capabilities.additional_names {
            return unsupported("it takes no additional names");
        }
        Ok(Box::new(MemoryTransaction::begin(self.clone(), capabilities, options)))
    }

    async fn collection(&self) -> Result<Box<dyn Collection>> {
        if !self.capabilities().collection.list {
            return Err(Error::new(ErrorKind::Unsupported, "opening", self)
                .with_detail("this transport holds one image, not several"));
        }
        Ok(Box::new(MemoryCollection { location: self.clone() }))
    }
}
