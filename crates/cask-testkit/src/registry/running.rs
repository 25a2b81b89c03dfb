//! A registry that runs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use cask_layout::Durability;
use cask_registry_server::{
    Middleware, Next, RegistryOptions, RequestBody, ResponseBody, Server, ServerOptions,
};
use http::{Request, Response};

use super::token::Tokens;
use super::{Builder, Seen};

/// A registry that runs on loopback until it is dropped. What it has is gone then.
#[derive(Debug)]
pub struct Registry {
    server: Server,
    shared: Arc<Shared>,
    root: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

/// What the requests of a registry share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) kind: Builder,
    address: OnceLock<SocketAddr>,
    tokens: Mutex<Tokens>,
    seen: Mutex<Vec<Seen>>,
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
        let shared = Arc::new(Shared {
            kind,
            address: OnceLock::new(),
            tokens: Mutex::default(),
            seen: Mutex::default(),
            count: AtomicU64::default(),
        });
        let mut options = ServerOptions::default();
        options.middleware = Some(middleware(Arc::clone(&shared)));
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::bind(address, registry, options)
            .await
            .unwrap_or_else(|error| panic!("starting the registry: {error:?}"));
        shared.address.get_or_init(|| server.local_addr());
        Self { server, shared, root, _temporary: temporary }
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
        format!("http://{}{}", self.host(), self.kind.token_path)
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

    async fn answer(&self, request: Request<RequestBody>, next: Next) -> Response<ResponseBody> {
        match self.admit(request).await {
            Ok(request) => next.answer(request).await,
            Err(response) => response,
        }
    }
}

fn middleware(shared: Arc<Shared>) -> Middleware {
    Arc::new(move |request, next| {
        let shared = Arc::clone(&shared);
        Box::pin(async move {
            let number = shared.record(&request);
            let response = shared.answer(request, next).await;
            // Somebody may have taken the list meanwhile.
            if let Some(seen) = shared.seen().iter_mut().find(|seen| seen.number == number) {
                seen.status = Some(response.status().as_u16());
            }
            response
        })
    })
}
