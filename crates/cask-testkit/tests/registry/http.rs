//! A client that shows everything: what came is what was sent.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use cask_image::{Algorithm, Hasher};
use cask_testkit::registry::Registry;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer, as far as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the body has the length that the head says.
    pub(crate) whole: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> String {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// Asks, and wants an answer.
pub(crate) async fn get(registry: &Registry, target: &str, headers: &[(&str, &str)]) -> Answer {
    send(registry.address(), "GET", target, headers, b"").await.expect("an answer")
}

/// Pushes a blob and gives where it is.
pub(crate) async fn push(registry: &Registry, repository: &str, content: &[u8]) -> String {
    let digest = Hasher::digest(Algorithm::Sha256, content);
    let target = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
    let pushed = send(registry.address(), "POST", &target, &[], content).await.expect("an answer");
    assert_eq!(pushed.status, 201);
    format!("/v2/{repository}/blobs/{digest}")
}

/// Sends a request and reads until the connection ends, for two seconds and a mebibyte at most.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    let mut head =
        format!("{method} {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    stream.write_all(&[head.as_bytes(), body].concat()).await?;
    let mut bytes = Vec::new();
    let mut limited = (&mut stream).take(1 << 20);
    let reading = limited.read_to_end(&mut bytes);
    // An answer that stalls is what came of it.
    let _ = tokio::time::timeout(Duration::from_secs(2), reading).await;
    parse(&bytes).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers: Vec<_> = headers.map(|(k, v)| (k.to_ascii_lowercase(), v.to_owned())).collect();
    let body = bytes[end + 4..].to_vec();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let whole = length.is_some_and(|(_, length)| length.parse() == Ok(body.len()));
    Some(Answer { status, headers, body, whole })
}
