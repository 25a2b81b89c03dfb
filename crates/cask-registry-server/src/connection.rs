//! One connection.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::Request;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, Sleep};
use tokio_rustls::TlsAcceptor;

use crate::activity::{Activity, Doing};
use crate::event::Recording;
use crate::server::Next;
use crate::{Disconnect, Refusal, RefusalCode, Registry, RemoteAddress, ServerOptions};

/// For how long a client may take to agree on keys.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The most bytes that the head of a request may have: 64 KiB.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// The most header fields that a request may have.
const MAX_HEADERS: usize = 100;

/// The most requests at a time on one connection of HTTP/2.
const MAX_STREAMS: u32 = 64;

/// How many bytes a client has to take to show that it takes something: more than pings have.
const SIGN_OF_LIFE_BYTES: u64 = 1024;

/// How often a silent client of HTTP/2 is asked whether it is there.
const PING_INTERVAL: Duration = Duration::from_secs(30);

pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) remote: SocketAddr,
    pub(crate) registry: Registry,
    pub(crate) options: Arc<ServerOptions>,
}

/// Serves one connection to its end.
pub(crate) async fn serve(connection: Connection, stopped: watch::Receiver<bool>) {
    let Connection { stream, remote, registry, options } = connection;
    // Small answers go out at once. Without it they are slower, not wrong.
    let _ = stream.set_nodelay(true);
    let stream = Impatient::new(stream, options.write_timeout);
    let patience = Patience::new(Arc::clone(&stream.written), &options);
    let serving = Serving { remote, registry, options, patience };
    let Some(tls) = &serving.options.tls else {
        return serve_stream(stream, false, serving, stopped).await;
    };
    let handshake = TlsAcceptor::from(tls.config()).accept(stream);
    if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        serve_stream(stream, http2, serving, stopped).await;
    }
}

/// What the requests of a connection need, and its end.
struct Serving {
    remote: SocketAddr,
    registry: Registry,
    options: Arc<ServerOptions>,
    patience: Patience,
}

async fn serve_stream(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    http2: bool,
    serving: Serving,
    mut stopped: watch::Receiver<bool>,
) {
    let Serving { remote, registry, options, mut patience } = serving;
    let builder = builder(http2, &options);
    let activity = patience.activity.clone();
    let service = service_fn(move |request| {
        let (registry, options) = (registry.clone(), Arc::clone(&options));
        let flight = activity.begin();
        async move {
            let response = respond(request, remote, registry, &options).await;
            match response.extensions().get::<Disconnect>() {
                Some(_) => Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
                None => Ok(flight.follow(response)),
            }
        }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let mut stopping = false;
    loop {
        tokio::select! {
            // A connection that breaks concerns nobody: its requests are in the access log.
            _ = connection.as_mut() => return,
            _ = stopped.wait_for(|stop| *stop), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            lost = patience.lose() => match lost {
                Lost::All => return,
                // HTTP/1 has a time limit of its own for this.
                Lost::Interest if stopping || !http2 => {}
                Lost::Interest => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

fn builder(http2: bool, options: &ServerOptions) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder = if http2 { builder.http2_only() } else { builder.http1_only() };
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(options.header_timeout)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX))
        .adaptive_window(true);
    builder
}

/// For how long a client is waited for.
struct Patience {
    activity: Activity,
    header_timeout: Duration,
    write_timeout: Duration,
    looking: Interval,
    /// How many bytes were written to the client.
    written: Arc<AtomicU64>,
    /// How many there were at the last sign of life, and when that was.
    sign_of_life: (u64, Instant),
}

/// What is thought of a client.
enum Lost {
    /// It asks for nothing.
    Interest,
    /// It takes nothing, or asks for nothing and does not go either.
    All,
}

impl Patience {
    fn new(written: Arc<AtomicU64>, options: &ServerOptions) -> Self {
        let ServerOptions { header_timeout, write_timeout, .. } = *options;
        let period = header_timeout.min(write_timeout) / 4;
        let period = period.clamp(Duration::from_millis(10), Duration::from_secs(5));
        let mut looking = tokio::time::interval(period);
        looking.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (activity, sign_of_life) = (Activity::new(), (0, Instant::now()));
        Self { activity, header_timeout, write_timeout, looking, written, sign_of_life }
    }

    /// Comes back, again and again, when patience is at its end. Can be dropped at any time.
    async fn lose(&mut self) -> Lost {
        loop {
            self.looking.tick().await;
            let written = self.written.load(Ordering::Relaxed);
            if written > self.sign_of_life.0.saturating_add(SIGN_OF_LIFE_BYTES) {
                self.sign_of_life = (written, Instant::now());
            }
            let taken = self.sign_of_life.1.elapsed();
            let both = self.header_timeout.saturating_add(self.write_timeout);
            match self.activity.doing() {
                Doing::Waiting(time) if time.min(taken) > self.write_timeout => return Lost::All,
                Doing::Nothing(time) if time.min(taken) > both => return Lost::All,
                Doing::Nothing(time) if time > self.header_timeout => return Lost::Interest,
                _ => {}
            }
        }
    }
}

async fn respond(
    request: Request<Incoming>,
    remote: SocketAddr,
    registry: Registry,
    options: &ServerOptions,
) -> http::Response<crate::ResponseBody> {
    let mut request = request.map(|body| body.map_err(io::Error::other).boxed_unsync());
    request.extensions_mut().insert(RemoteAddress(remote));
    let log = options.access_log.clone();
    let recording = log.map(|log| Recording::new(log, remote, &request));
    // The parser of HTTP/1 gives up only while a head is not complete.
    let response = match &options.middleware {
        _ if head_bytes(&request) > MAX_HEAD_BYTES => too_large(),
        Some(middleware) => middleware(request, Next::new(registry)).await,
        None => registry.answer(request).await,
    };
    match recording {
        Some(recording) => recording.follow(response),
        None => response,
    }
}

/// How many bytes the head of a request has, about.
fn head_bytes<B>(request: &Request<B>) -> usize {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let fields = request.headers().iter();
    target + fields.map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>()
}

fn too_large() -> http::Response<crate::ResponseBody> {
    let words = "the head of the request is too large";
    let status = http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    Refusal::new(RefusalCode::Unsupported, words).with_status(status).into_response()
}

/// A stream whose writes fail if the other side takes nothing for too long.
struct Impatient {
    stream: TcpStream,
    /// How many bytes were written.
    written: Arc<AtomicU64>,
    timeout: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Impatient {
    fn new(stream: TcpStream, timeout: Duration) -> Self {
        Self { stream, written: Arc::default(), timeout, waiting: None }
    }

    fn check(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(result) = &polled {
            let bytes = result.as_ref().map_or(0, |bytes| *bytes as u64);
            self.written.fetch_add(bytes, Ordering::Relaxed);
            self.waiting = None;
            return polled;
        }
        let timeout = self.timeout;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        match waiting.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Impatient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.check(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.check(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
