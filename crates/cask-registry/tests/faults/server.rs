//! A server that does what it is told, and nothing that HTTP asks for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What was asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// How much of a body is read.
#[derive(Clone, Copy)]
pub(crate) enum Read {
    All,
    Bytes(usize),
}

/// What is done then.
#[derive(Clone)]
pub(crate) enum Do {
    Write(Vec<u8>),
    Wait(Duration),
    /// Writes the same for ever.
    Endless(Vec<u8>),
    Reset,
}

type Script = dyn Fn(usize, &Asked) -> Vec<Do> + Send + Sync;
type Reads = dyn Fn(usize, &Asked) -> Read + Send + Sync;

pub(crate) struct Server {
    pub(crate) address: String,
    log: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Answers the n-th request, from 0, with what the script says.
    pub(crate) async fn start(
        script: impl Fn(usize, &Asked) -> Vec<Do> + Send + Sync + 'static,
    ) -> Self {
        Self::reading(|_, _| Read::All, script).await
    }

    /// Reads only so much of each body.
    pub(crate) async fn reading(
        reads: impl Fn(usize, &Asked) -> Read + Send + Sync + 'static,
        script: impl Fn(usize, &Asked) -> Vec<Do> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, reads, script)
    }

    /// Listens at another address than usual.
    pub(crate) async fn listening(
        address: &str,
        script: impl Fn(usize, &Asked) -> Vec<Do> + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        Ok(Self::on(TcpListener::bind(address).await?, |_, _| Read::All, script))
    }

    fn on(
        listener: TcpListener,
        reads: impl Fn(usize, &Asked) -> Read + Send + Sync + 'static,
        script: impl Fn(usize, &Asked) -> Vec<Do> + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap().to_string();
        let log: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (script, reads): (Arc<Script>, Arc<Reads>) = (Arc::new(script), Arc::new(reads));
        let server = Self { address, log: Arc::clone(&log) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, reads) = (Arc::clone(&script), Arc::clone(&reads));
                let log = Arc::clone(&log);
                tokio::spawn(async move { serve(stream, &*reads, &*script, &log).await });
            }
        });
        server
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().iter().map(Asked::line).collect()
    }
}

async fn serve(
    stream: TcpStream,
    reads: &Reads,
    script: &Script,
    log: &Mutex<Vec<Asked>>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut asked = head(&mut stream).await?;
    let nth = {
        let mut log = log.lock().unwrap();
        log.push(asked.clone());
        log.len() - 1
    };
    let most = match reads(nth, &asked) {
        Read::All => usize::MAX,
        Read::Bytes(most) => most,
    };
    asked.body = body(&mut stream, &asked, most).await;
    log.lock().unwrap()[nth] = asked.clone();
    for action in script(nth, &asked) {
        match action {
            Do::Write(bytes) => stream.write_all(&bytes).await.ok()?,
            Do::Wait(time) => tokio::time::sleep(time).await,
            Do::Endless(bytes) => loop {
                stream.write_all(&bytes).await.ok()?;
            },
            Do::Reset => {
                #[expect(deprecated, reason = "it is what makes a reset of the end")]
                stream.get_ref().set_linger(Some(Duration::ZERO)).ok()?;
                return None;
            }
        }
        stream.flush().await.ok()?;
    }
    stream.shutdown().await.ok()
}

async fn head(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        text.push(stream.read_u8().await.ok()?);
        // What is no HTTP is TLS, which is not spoken here.
        if !text[0].is_ascii_uppercase() {
            return None;
        }
    }
    let text = String::from_utf8(text).unwrap();
    let mut lines = text.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Some(Asked { method, target, headers, body: Vec::new() })
}

async fn body(stream: &mut BufReader<TcpStream>, asked: &Asked, most: usize) -> Vec<u8> {
    let mut all = Vec::new();
    if let Some(length) = asked.header("content-length") {
        let length = length.parse::<usize>().unwrap().min(most);
        let _ = stream.take(length as u64).read_to_end(&mut all).await;
    } else if asked.header("transfer-encoding").is_some() {
        while all.len() < most {
            let mut size = Vec::new();
            while !size.ends_with(b"\r\n") {
                let Ok(byte) = stream.read_u8().await else { return all };
                size.push(byte);
            }
            let size = std::str::from_utf8(&size).unwrap().trim();
            let size = u64::from_str_radix(size, 16).unwrap();
            let _ = (&mut *stream).take(size).read_to_end(&mut all).await;
            let mut end = [0; 2];
            let _ = stream.read_exact(&mut end).await;
            if size == 0 {
                break;
            }
        }
    }
    all
}

/// An answer with a body.
pub(crate) fn answer(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<Do> {
    let mut text = head_of(status, headers);
    if !headers.iter().any(|(name, _)| *name == "Content-Length") {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    vec![Do::Write(bytes)]
}

/// The start of an answer, up to its last header.
pub(crate) fn head_of(status: &str, headers: &[(&str, &str)]) -> String {
    let mut text = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text
}
