//! What can be chosen.

use std::sync::Arc;
use std::time::Duration;

use cask_layout::LayoutOptions;

use crate::{AccessLog, Htpasswd, Middleware, RepositoryName, TlsIdentity};

/// How a registry keeps and guards what it has.
///
/// The default: writable, open to everyone who can connect.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RegistryOptions {
    /// The name of the repository, where the directory is one layout. By default it is the name
    /// of the directory, in lower case.
    pub name: Option<RepositoryName>,
    /// Whether to refuse everything that writes.
    pub read_only: bool,
    /// Who may ask; `None` lets everyone.
    pub htpasswd: Option<Htpasswd>,
    /// How the layouts are opened. By default others are waited for 30 seconds.
    pub layout: LayoutOptions,
    /// The most uploads that may be unfinished at a time.
    pub max_uploads: usize,
    /// For how long an upload may rest before it is thrown away.
    pub upload_lifetime: Duration,
    /// The most bytes that a blob may have; `None` for as many as fit on the disk.
    pub max_blob_bytes: Option<u64>,
    /// Whether an index may be pushed of which some manifests are missing, as copies of some
    /// platforms are.
    pub accept_sparse_indexes: bool,
    /// For how long a client that sends a body may be silent.
    pub body_timeout: Duration,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        let mut layout = LayoutOptions::default();
        layout.lock_timeout = Some(Duration::from_secs(30));
        Self {
            name: None,
            read_only: false,
            htpasswd: None,
            layout,
            max_uploads: 1024,
            upload_lifetime: Duration::from_secs(24 * 60 * 60),
            max_blob_bytes: None,
            accept_sparse_indexes: false,
            body_timeout: Duration::from_secs(60),
        }
    }
}

/// How a server talks to its clients.
///
/// The default: plain HTTP, nothing logged.
#[derive(Clone)]
#[non_exhaustive]
pub struct ServerOptions {
    /// The certificate to show; `None` for plain HTTP.
    pub tls: Option<TlsIdentity>,
    /// Who is told about every request that was answered.
    pub access_log: Option<AccessLog>,
    /// What every request passes before the registry sees it.
    pub middleware: Option<Middleware>,
    /// The most connections at a time. One more waits.
    pub max_connections: usize,
    /// For how long a client may take to send the head of a request, the time between two
    /// requests included.
    pub header_timeout: Duration,
    /// For how long a client may not take what is sent to it.
    pub write_timeout: Duration,
    /// For how long requests in flight are waited for when the server is shut down.
    pub shutdown_timeout: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            tls: None,
            access_log: None,
            middleware: None,
            max_connections: 512,
            header_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

impl std::fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerOptions")
            .field("tls", &self.tls)
            .field("access_log", &self.access_log.as_ref().map(Arc::as_ptr))
            .field("middleware", &self.middleware.as_ref().map(Arc::as_ptr))
            .field("max_connections", &self.max_connections)
            .field("header_timeout", &self.header_timeout)
            .field("write_timeout", &self.write_timeout)
            .field("shutdown_timeout", &self.shutdown_timeout)
            .finish()
    }
}
