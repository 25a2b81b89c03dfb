//! What all requests of a client have in common.

use std::fmt;
use std::time::Duration;

use crate::{Gates, RetryOptions, RetrySink, TlsOptions};

/// What all requests of a client have in common.
#[derive(Clone)]
#[non_exhaustive]
pub struct HttpOptions {
    /// What is sent as `User-Agent`.
    pub user_agent: String,
    /// Whom to trust, and as whom to appear.
    pub tls: TlsOptions,
    /// Follows redirects from `https` to `http`, though without secrets.
    pub danger_insecure: bool,
    /// The proxies to go through; none by default, and never what the environment says.
    pub proxies: Proxies,
    /// How long things may take.
    pub deadlines: Deadlines,
    /// How often to try again.
    pub retry: RetryOptions,
    /// Who is told of retries.
    pub retry_sink: Option<RetrySink>,
    /// What all clients of a process share. Clients that do not share have gates of their own.
    pub gates: Gates,
    /// How many redirects one request follows. Default: 10.
    pub max_redirects: u32,
}

/// How long things may take.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deadlines {
    /// For a connection to be made, TLS included. Default: 30 s.
    pub connect: Duration,
    /// From the last byte of a request to the head of its answer. Default: 2 min.
    pub response: Duration,
    /// The window within which at least [`stall_bytes`](Self::stall_bytes) must move in a body, in
    /// either direction. Time in which the other end of the stream is slow, the reader of a
    /// download or the source of an upload, does not count. Default: 60 s.
    pub stall_window: Duration,
    /// How many bytes must move within the window, or the end of the body be reached.
    /// Default: 64 KiB.
    pub stall_bytes: u64,
    /// For a body that is read into memory as a whole, however steadily it comes. Default: 5 min.
    pub document: Duration,
    /// For one attempt of a request up to the head of its answer; unlimited by default.
    pub total: Option<Duration>,
}

/// The proxies to go through. Loopback addresses and `localhost` are always reached directly.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proxies {
    /// The URL of the proxy for `http`, user and password in it if it wants them.
    pub http: Option<String>,
    /// The URL of the proxy for `https`.
    pub https: Option<String>,
    /// Names, suffixes of names, addresses and networks that are reached directly, with commas.
    pub except: Option<String>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            user_agent: concat!("cask/", env!("CARGO_PKG_VERSION")).to_owned(),
            tls: TlsOptions::default(),
            danger_insecure: false,
            proxies: Proxies::default(),
            deadlines: Deadlines::default(),
            retry: RetryOptions::default(),
            retry_sink: None,
            gates: Gates::default(),
            max_redirects: 10,
        }
    }
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions")
            .field("user_agent", &self.user_agent)
            .field("tls", &self.tls)
            .field("proxies", &self.proxies)
            .field("deadlines", &self.deadlines)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            response: Duration::from_secs(120),
            stall_window: Duration::from_secs(60),
            stall_bytes: 64 << 10,
            document: Duration::from_secs(300),
            total: None,
        }
    }
}

impl fmt::Debug for Proxies {
    /// URLs of proxies have passwords in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies")
            .field("http", &self.http.is_some())
            .field("https", &self.https.is_some())
            .field("except", &self.except)
            .finish()
    }
}
