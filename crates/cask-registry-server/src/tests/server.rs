//! Over a real connection.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::support::{Place, digest_of, options};
use crate::{
    AccessEvent, AccessLog, Middleware, Registry, RequestBody, Server, ServerOptions, TlsIdentity,
    full_body,
};

async fn start(options_of: ServerOptions) -> (Server, tempfile::TempDir) {
    let root = tempfile::tempdir().unwrap();
    let registry = Registry::open(root.path(), options()).unwrap();
    let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
    (Server::bind(address, registry, options_of).await.unwrap(), root)
}

/// Sends bytes and reads until the other side closes.
async fn exchange(server: &Server, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(20), reading).await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn requests_are_logged_and_the_server_ends() {
    let events: Arc<Mutex<Vec<AccessEvent>>> = Arc::default();
    let sink = Arc::clone(&events);
    let log: AccessLog = Arc::new(move |event| sink.lock().unwrap().push(event.clone()));
    let with_log = ServerOptions { access_log: Some(log), ..ServerOptions::default() };
    let (server, root) = start(with_log).await;
    let request = "GET /v2/?x=1 HTTP/1.1\r\nhost: x\r\nuser-agent: me\r\nconnection: close\r\n\r\n";
    let answer = exchange(&server, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n{}"), "{answer}");
    server.shut_down().await;
    let events = events.lock().unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].target.as_str(), events[0].response_bytes), ("/v2/?x=1", 2));
    assert_eq!(events[0].user_agent.as_deref(), Some("me"));
    assert!(events[0].complete && events[0].status == 200);
    assert_eq!(root.path().read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn a_refused_body_does_not_hide_the_answer() {
    let (server, _root) = start(ServerOptions::default()).await;
    let head = "PATCH /v2/a/blobs/uploads/none HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
        content-length: 500000\r\n\r\n";
    let mut request = head.as_bytes().to_vec();
    request.resize(request.len() + 500_000, b'x');
    let answer = exchange(&server, &request).await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    server.shut_down().await;
}

#[tokio::test]
async fn heads_have_limits() {
    let header_timeout = Duration::from_millis(200);
    let hasty = ServerOptions { header_timeout, ..ServerOptions::default() };
    let (server, _root) = start(hasty).await;
    let long =
        format!("GET /v2/ HTTP/1.1\r\nconnection: close\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    assert!(!exchange(&server, long.as_bytes()).await.contains("200 OK"));
    let many = format!("GET /v2/ HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(200));
    assert!(!exchange(&server, many.as_bytes()).await.contains("200 OK"));
    assert!(!exchange(&server, b"GET /v2/ HTTP/1.1\r\nhost").await.contains("200 OK"));
    server.shut_down().await;
}

#[tokio::test]
async fn a_broken_upload_keeps_what_came() {
    let (server, _root) = start(ServerOptions::default()).await;
    let post = "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = exchange(&server, post.as_bytes()).await;
    let location = answer.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    let patch = format!("PATCH {location} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n12345");
    stream.write_all(patch.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    let get = format!("GET {location} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let answer = exchange(&server, get.as_bytes()).await;
    assert!(answer.contains("range: 0-4\r\n"), "{answer}");
    server.shut_down().await;
}

#[tokio::test]
async fn middleware_answers_or_passes_on() {
    let middleware: Middleware = Arc::new(|request, next| {
        async move {
            if request.uri().path() == "/mine" {
                return http::Response::new(full_body("hello"));
            }
            let mut response = next.answer(request).await;
            response.headers_mut().insert("x-seen", http::HeaderValue::from_static("yes"));
            response
        }
        .boxed()
    });
    let with = ServerOptions { middleware: Some(middleware), ..ServerOptions::default() };
    let (server, _root) = start(with).await;
    let get = |path| format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(exchange(&server, get("/mine").as_bytes()).await.ends_with("hello"));
    assert!(exchange(&server, get("/v2/").as_bytes()).await.contains("x-seen: yes"));
    server.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_push_at_the_same_time_and_nothing_is_lost() {
    let place = Arc::new(Place::new());
    let mut pushing = tokio::task::JoinSet::new();
    for number in 0..24 {
        let place = Arc::clone(&place);
        pushing.spawn(async move {
            let tag = format!("v{number}");
            place.push_image("a", &tag, &format!("layer {}", number % 5)).await;
        });
    }
    while let Some(pushed) = pushing.join_next().await {
        pushed.unwrap();
    }
    let tags = place.call("GET", "/v2/a/tags/list").await;
    let tags: serde_json::Value = serde_json::from_slice(tags.body()).unwrap();
    assert_eq!(tags["tags"].as_array().unwrap().len(), 24);
    let layer = place.call("GET", &format!("/v2/a/blobs/{}", digest_of(b"layer 3"))).await;
    assert_eq!(&layer.body()[..], b"layer 3");
}

/// A certificate for `localhost`, and a client's settings that trust it.
fn certificate() -> (TlsIdentity, rustls::ClientConfig) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let identity = TlsIdentity::from_pem(
        made.cert.pem().as_bytes(),
        made.signing_key.serialize_pem().as_bytes(),
    );
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (identity.unwrap(), client)
}

/// A client of HTTP/2, which takes so much of a response before it is read.
struct Http2 {
    sender: hyper::client::conn::http2::SendRequest<RequestBody>,
    driving: tokio::task::JoinHandle<hyper::Result<()>>,
}

impl Http2 {
    async fn connect(server: &Server, mut client: rustls::ClientConfig, window: u32) -> Self {
        client.alpn_protocols = vec![b"h2".to_vec()];
        let stream = TcpStream::connect(server.local_addr()).await.unwrap();
        let name = "localhost".try_into().unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
        let stream = connector.connect(name, stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(window);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
        Self { sender, driving: tokio::spawn(connection) }
    }

    async fn send(
        &self,
        method: &str,
        target: &str,
        body: Vec<u8>,
    ) -> http::Response<hyper::body::Incoming> {
        let uri = format!("https://localhost{target}");
        let request = http::Request::builder().method(method).uri(uri).body(full_body(body));
        self.sender.clone().send_request(request.unwrap()).await.unwrap()
    }

    /// Whether the server ends the connection, soon.
    async fn ends(self) -> bool {
        tokio::time::timeout(Duration::from_secs(20), self.driving).await.is_ok()
    }
}

static LARGE: [u8; 3_000_000] = [7; 3_000_000];

#[tokio::test]
async fn http2_is_spoken_over_tls() {
    let (identity, client) = certificate();
    let with_tls = ServerOptions { tls: Some(identity), ..ServerOptions::default() };
    let (server, _root) = start(with_tls).await;
    assert!(server.url().starts_with("https://"));
    let client = Http2::connect(&server, client, 1 << 20).await;
    let digest = digest_of(&LARGE);
    let target = format!("/v2/a/blobs/uploads/?digest={digest}");
    assert_eq!(client.send("POST", &target, LARGE.to_vec()).await.status(), 201);
    // Several at a time, all of them read: they share what may be under way.
    let gets = (0..8).map(async |_| {
        let answer = client.send("GET", &format!("/v2/a/blobs/{digest}"), Vec::new()).await;
        assert_eq!(answer.status(), 200);
        answer.into_body().collect().await.unwrap().to_bytes()
    });
    for body in futures_util::future::join_all(gets).await {
        assert!(body == LARGE[..]);
    }
    server.shut_down().await;
    client.driving.abort();
}

#[tokio::test]
async fn a_client_of_http2_that_takes_nothing_ends() {
    let (identity, client) = certificate();
    let write_timeout = Duration::from_millis(300);
    let hasty = ServerOptions { tls: Some(identity), write_timeout, ..ServerOptions::default() };
    let (server, root) = start(hasty).await;
    let place = Place { registry: Registry::open(root.path(), options()).unwrap(), root };
    let digest = place.push_blob("a", &LARGE).await;
    // It answers pings, and its socket is never full.
    let client = Http2::connect(&server, client, 1 << 16).await;
    let answer = client.send("GET", &format!("/v2/a/blobs/{digest}"), Vec::new()).await;
    assert_eq!(answer.status(), 200);
    assert!(client.ends().await);
    assert!(answer.into_body().collect().await.is_err());
    server.shut_down().await;
}

#[tokio::test]
async fn a_client_of_http2_that_asks_for_nothing_ends() {
    let (identity, client) = certificate();
    let header_timeout = Duration::from_millis(300);
    let hasty = ServerOptions { tls: Some(identity), header_timeout, ..ServerOptions::default() };
    let (server, _root) = start(hasty).await;
    let client = Http2::connect(&server, client, 1 << 16).await;
    assert_eq!(client.send("GET", "/v2/", Vec::new()).await.status(), 200);
    assert!(client.ends().await);
    server.shut_down().await;
}

#[tokio::test]
async fn a_client_that_does_not_speak_tls_is_turned_away() {
    let (identity, _) = certificate();
    let with_tls = ServerOptions { tls: Some(identity), ..ServerOptions::default() };
    let (server, _root) = start(with_tls).await;
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    stream.write_all(b"GET /v2/ HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    server.shut_down().await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_ends() {
    let write_timeout = Duration::from_millis(300);
    let events: Arc<Mutex<Vec<AccessEvent>>> = Arc::default();
    let sink = Arc::clone(&events);
    let log: AccessLog = Arc::new(move |event| sink.lock().unwrap().push(event.clone()));
    let hasty = ServerOptions { write_timeout, access_log: Some(log), ..ServerOptions::default() };
    let (server, root) = start(hasty).await;
    let content = vec![7; 30_000_000];
    let place = Place { registry: Registry::open(root.path(), options()).unwrap(), root };
    let digest = place.push_blob("a", &content).await;
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    let get = format!("GET /v2/a/blobs/{digest} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(get.as_bytes()).await.unwrap();
    let gone = async {
        while events.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.unwrap();
    assert!(!events.lock().unwrap()[0].complete);
    server.shut_down().await;
}
