//! A registry that runs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use cask_layout::Durability;
use cask_registry_server::{
    Middleware, Next, RegistryOptions, RequestBody, ResponseBody, Server, ServerOptions,
};
use http::{Request, Response};

use super::token::Tokens;
use super::{Builder, Failure, Fault, Seen, Vendor, certificate};

/// A registry that runs on loopback until it is dropped. What it has is gone then.
#[derive(Debug)]
pub struct Registry {
    server: Server,
    shared: Arc<Shared>,
    root: PathBuf,
    authority_pem: Option<String>,
    _temporary: Option<tempfile::TempDir>,
}

/// What the requests of a registry share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) kind: Builder,
    address: OnceLock<SocketAddr>,
    tokens: Mutex<Tokens>,
    seen: Mutex<Vec<Seen>>,
    faults: Mutex<Vec<Fault>>,
    pulls: AtomicUsize,
    count: AtomicU64,
}

impl Registry {
    /// Starts one that lets everyone in, by plain HTTP.
    ///
    /// # Panics
    /// If it cannot be started.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// One that is to be of another kind.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(super) async fn start_with(kind: Builder) -> Self {
        let temporary = kind.root.is_none().then(|| tempfile::tempdir().expect("a directory"));
        let root = kind.root.clone().or(temporary.as_ref().map(|t| t.path().to_owned()));
        let root = root.expect("one of both is there");
        let mut options = RegistryOptions::default();
        options.layout.durability = Durability::Process;
        let registry = cask_registry_server::Registry::open(&root, options)
            .unwrap_or_else(|error| panic!("opening the registry: {error:?}"));
        let pull_limit = kind.pull_limit;
        let certificate = kind.tls.then(certificate::make);
        let shared = Arc::new(Shared {
            kind,
            address: OnceLock::new(),
            tokens: Mutex::default(),
            seen: Mutex::default(),
            faults: Mutex::default(),
            pulls: AtomicUsize::new(pull_limit),
            count: AtomicU64::default(),
        });
        let mut options = ServerOptions::default();
        options.middleware = Some(middleware(Arc::clone(&shared)));
        options.tls = certificate.as_ref().map(|certificate| certificate.identity.clone());
        options.shutdown_timeout = Duration::from_secs(1);
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::bind(address, registry, options)
            .await
            .unwrap_or_else(|error| panic!("starting the registry: {error:?}"));
        shared.address.get_or_init(|| server.local_addr());
        let authority_pem = certificate.map(|certificate| certificate.authority_pem);
        Self { server, shared, root, authority_pem, _temporary: temporary }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Its name in references: `127.0.0.1:12345`.
    pub fn host(&self) -> String {
        self.server.local_addr().to_string()
    }

    /// Its address as a URL, without a path: `http://127.0.0.1:12345`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The directory with a layout for each repository.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What it was asked so far, in the order in which requests began.
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.seen().clone()
    }

    /// The same, forgetting it.
    pub fn take_requests(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.shared.seen())
    }

    /// Who signed the certificate, as PEM; `None` without TLS.
    pub fn authority_pem(&self) -> Option<&str> {
        self.authority_pem.as_deref()
    }

    /// Has something go wrong from now on.
    pub fn fail(&self, fault: Fault) {
        self.shared.faults().push(fault);
    }

    /// Has nothing go wrong any more.
    pub fn heal(&self) {
        self.shared.faults().clear();
    }

    /// Makes all tokens that were given invalid, as if they had expired.
    pub fn expire_tokens(&self) {
        self.shared.tokens().expire();
    }
}

impl Shared {
    pub(super) fn host(&self) -> String {
        self.address.get().map(ToString::to_string).unwrap_or_default()
    }

    /// Where tokens are given.
    pub(super) fn realm(&self) -> String {
        if let Some(realm) = &self.kind.realm {
            return realm.clone();
        }
        // Nexus does not know of the proxy before it.
        let scheme = if self.kind.vendor == Some(Vendor::Nexus) { "http" } else { self.scheme() };
        format!("{scheme}://{}{}", self.host(), self.kind.token_path)
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.kind.tls { "https" } else { "http" }
    }

    /// How many manifests may still be pulled, before so many are.
    pub(super) fn pulls_left(&self, pulled: usize) -> usize {
        let take = |left: usize| Some(left.saturating_sub(pulled));
        self.pulls.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).unwrap_or_default()
    }

    fn faults(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes wrong with a request.
    fn failure(&self, request: &Request<RequestBody>) -> Option<Failure> {
        let faults = self.faults();
        faults.iter().find(|fault| fault.happens(request)).map(|fault| fault.failure.clone())
    }

    pub(super) fn user(&self) -> Option<(&str, &str)> {
        self.kind.user.as_ref().map(|(name, password)| (name.as_str(), password.as_str()))
    }

    pub(super) fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes down a request and gives its number.
    fn record(&self, request: &Request<RequestBody>) -> u64 {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        self.seen().push(Seen {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            headers: request.headers().clone(),
            status: None,
            number,
        });
        number
    }

    /// Answers, if nothing goes wrong.
    pub(super) async fn answer(
        &self,
        request: Request<RequestBody>,
        next: Next,
    ) -> Response<ResponseBody> {
        match self.admit(request).await {
            Ok(request) => self.answer_as_vendor(request, next).await,
            Err(response) => response,
        }
    }
}

fn middleware(shared: Arc<Shared>) -> Middleware {
    Arc::new(move |request, next| {
        let shared = Arc::clone(&shared);
        Box::pin(async move {
            let number = shared.record(&request);
            let failure = shared.failure(&request);
            let response = shared.fail(failure, request, next).await;
            // Somebody may have taken the list meanwhile.
            if let Some(seen) = shared.seen().iter_mut().find(|seen| seen.number == number) {
                seen.status = Some(response.status().as_u16());
            }
            response
        })
    })
}
