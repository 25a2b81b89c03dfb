//! How a daemon is reached and its images are kept meanwhile.

use std::path::PathBuf;
use std::time::Duration;

use cask_archive::ReadOptions;
use cask_http::SystemRoots;

use crate::DaemonAddress;

/// How a daemon is reached, and where its images wait.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DockerDaemonOptions {
    /// Where the daemon listens. Default: `unix:///var/run/docker.sock`.
    pub address: DaemonAddress,
    /// For TLS: a directory with `ca.pem`, the certificates of authorities beside the system's,
    /// and `cert.pem` with `key.pem`, which prove who is asking.
    pub certificates: Option<PathBuf>,
    /// For TLS: takes any server for the daemon. Whoever is between can read and change all.
    pub danger_accept_any_certificate: bool,
    /// The authorities that the system trusts.
    pub system_roots: SystemRoots,
    /// Where an image that is read waits, and how large it may be.
    pub read: ReadOptions,
    /// The directory for layers whose size shows only at their end, such as those that are
    /// decompressed on the way. Default: `/var/tmp`.
    pub spool_directory: Option<PathBuf>,
    /// How long connecting may take. Default: 30 seconds.
    pub connect_timeout: Duration,
    /// How long the daemon may be silent when it is its turn. Before it sends an image or tells
    /// that it has one, it works on all of it. Default: 30 minutes.
    pub silence_timeout: Duration,
}

impl Default for DockerDaemonOptions {
    fn default() -> Self {
        Self {
            address: DaemonAddress::default(),
            certificates: None,
            danger_accept_any_certificate: false,
            system_roots: SystemRoots::default(),
            read: ReadOptions::default(),
            spool_directory: None,
            connect_timeout: Duration::from_secs(30),
            silence_timeout: Duration::from_secs(30 * 60),
        }
    }
}
