//! Listening.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{Request, Response};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::connection::{Connection, serve};
use crate::{Error, Registry, RequestBody, ResponseBody, Result, ServerOptions};

/// How long to wait before accepting again after the system could not.
const PAUSE: Duration = Duration::from_millis(100);

/// What a request passes before the registry sees it. It can answer itself, change the request or
/// the response, or have the rest done by [`Next::answer`].
///
/// A response whose body gives an error cuts the connection.
pub type Middleware = Arc<
    dyn Fn(Request<RequestBody>, Next) -> BoxFuture<'static, Response<ResponseBody>> + Send + Sync,
>;

/// What comes after a [`Middleware`]: the registry.
#[derive(Clone, Debug)]
pub struct Next(Registry);

impl Next {
    pub(crate) fn new(registry: Registry) -> Self {
        Self(registry)
    }

    /// Has the registry answer.
    pub async fn answer(self, request: Request<RequestBody>) -> Response<ResponseBody> {
        self.0.answer(request).await
    }
}

/// Among the extensions of the response of a [`Middleware`]: nothing is sent, the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnect;

/// Where a request comes from; among the extensions of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteAddress(pub SocketAddr);

/// A server that runs. Dropped, it stops at once; [`shut_down`](Self::shut_down) lets what is in
/// flight come to its end.
pub struct Server {
    address: SocketAddr,
    is_tls: bool,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Listens at an address and serves a registry there, on the runtime of the caller. With port
    /// 0 the system chooses one, which [`local_addr`](Self::local_addr) tells.
    ///
    /// # Errors
    /// `AddressInUse`, `Denied`, `Io`.
    pub async fn bind(
        address: SocketAddr,
        registry: Registry,
        options: ServerOptions,
    ) -> Result<Self> {
        let fail = |error| Error::io(error, "listening at", address);
        let listener = TcpListener::bind(address).await.map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        let (stop, stopped) = watch::channel(false);
        let is_tls = options.tls.is_some();
        let accepting = tokio::spawn(accept(listener, registry, options, stopped));
        Ok(Self { address, is_tls, stop, accepting })
    }

    /// The address that the server listens at.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The address as a URL, without a path.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.is_tls { "https" } else { "http" }, self.address)
    }

    /// Accepts no more connections, and waits for requests in flight as long as the options say.
    pub async fn shut_down(mut self) {
        let _ = self.stop.send(true);
        // It ends by itself; if it panicked, nothing is served any more either.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("url", &self.url()).finish_non_exhaustive()
    }
}

async fn accept(
    listener: TcpListener,
    registry: Registry,
    options: ServerOptions,
    mut stopped: watch::Receiver<bool>,
) {
    let free = Arc::new(Semaphore::new(options.max_connections));
    let shutdown_timeout = options.shutdown_timeout;
    let options = Arc::new(options);
    // Dropped with this task, and with it all connections.
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let permit = Arc::clone(&free).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            biased;
            _ = stopped.changed() => break,
            Some(_) = connections.join_next() => continue,
            accepted = accepted => accepted,
        };
        match (permit, accepted) {
            (Ok(permit), Ok((stream, remote))) => {
                let registry = registry.clone();
                let options = Arc::clone(&options);
                let connection = Connection { stream, remote, registry, options };
                let stopped = stopped.clone();
                connections.spawn(async move {
                    serve(connection, stopped).await;
                    drop(permit);
                });
            }
            // Too many open files, or a client that has left already.
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(shutdown_timeout, ended).await;
    drop(connections);
    registry.close();
}
