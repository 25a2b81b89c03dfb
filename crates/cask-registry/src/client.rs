//! The client.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use cask_reference::Repository as RepositoryName;

use crate::host::Host;
use crate::{ClientOptions, Registry, Repository};

/// A client of registries. Clones share connections, challenges and tokens: one per process is
/// best. Making one costs nothing, and neither does naming a registry or a repository.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    options: Arc<ClientOptions>,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

impl Client {
    /// A client with these options.
    pub fn new(options: ClientOptions) -> Self {
        Self(Arc::new(Inner { options: Arc::new(options), hosts: Mutex::default() }))
    }

    /// A registry: `host` or `host:port` as in a reference, IPv6 addresses in brackets.
    ///
    /// `docker.io` is served from `registry-1.docker.io`, as everywhere.
    pub fn registry(&self, host: &str) -> Registry {
        Registry::new(self.host(host))
    }

    /// A repository, to be read from.
    pub fn repository(&self, name: &RepositoryName) -> Repository {
        Repository::new(self.host(name.domain()), name.clone())
    }

    pub(crate) fn host(&self, name: &str) -> Arc<Host> {
        let mut hosts = self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let host = hosts
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(Host::new(name, Arc::clone(&self.0.options))));
        Arc::clone(host)
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new(ClientOptions::default())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.0.options).finish()
    }
}
