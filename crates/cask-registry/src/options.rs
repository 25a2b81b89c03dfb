//! How registries are talked to.

use std::fmt;
use std::sync::Arc;

use cask_auth::{Anonymous, Keychain};
use cask_http::{BoxError, ClientIdentity, HttpOptions, Limits, RetryEvent};
use http::HeaderMap;

/// How all registries are talked to.
#[derive(Clone)]
#[non_exhaustive]
pub struct ClientOptions {
    /// Who knows credentials. Asked at most once per repository, on a thread that may block.
    pub keychain: Arc<dyn Keychain>,
    /// What is known of single registries. Asked once per registry, on a thread that may block.
    pub hosts: HostLookup,
    /// User agent, proxies, deadlines, retries, limits. Certificates, insecurity and the sink of
    /// retries are set from the two others.
    pub http: HttpOptions,
    /// Who is told of retries and warnings.
    pub events: Option<EventSink>,
    /// What is sent as `client_id` where identity tokens are exchanged.
    pub client_id: String,
    /// The size of the pieces in which a blob of unknown digest is uploaded to registries that want
    /// pieces, in bytes. Default: 16 MiB.
    pub chunk_bytes: u64,
}

/// Tells what is known of a registry: `host` or `host:port` as in a reference.
pub type HostLookup = Arc<dyn Fn(&str) -> Result<HostSettings, BoxError> + Send + Sync>;

/// What is known of one registry.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct HostSettings {
    /// Where no TLS answers, talks in the clear. Whoever controls the network can then read and
    /// change everything, passwords included.
    pub danger_http: bool,
    /// Accepts any certificate of any server.
    pub danger_accept_invalid_certificates: bool,
    /// Certificates of authorities in PEM, trusted besides those of the system.
    pub authorities_pem: Vec<Vec<u8>>,
    /// The certificates of which one is shown to the registry, and to no other host.
    pub identities: Vec<ClientIdentity>,
    /// Hosts of other sites that the registry may send the user's password to for a token.
    pub trusted_token_hosts: Vec<String>,
    /// Headers to send to the registry, and to no other host.
    pub headers: HeaderMap,
    /// What is sent as `User-Agent`, if something else than to all others.
    pub user_agent: Option<String>,
    /// What the registry is spared, if something else than all others are.
    pub limits: Option<Limits>,
}

/// Something that a user may want to see.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Something is about to be tried again.
    Retry(RetryEvent),
    /// The registry has something to say; each text is told once.
    Warning {
        /// The registry.
        registry: String,
        /// What it says, on one line.
        text: String,
    },
}

/// Who is told of events.
pub type EventSink = Arc<dyn Fn(&Event) + Send + Sync>;

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            keychain: Arc::new(Anonymous),
            hosts: Arc::new(|_| Ok(HostSettings::default())),
            http: HttpOptions::default(),
            events: None,
            client_id: "cask".to_owned(),
            chunk_bytes: 16 << 20,
        }
    }
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("keychain", &self.keychain)
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}
