//! Writing: an archive goes to the daemon while it is made.

use std::io::{self, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use cask_transport::{Error, ErrorKind, Result};
use http::Method;
use http_body::Frame;
use http_body_util::BodyExt as _;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use crate::client::{Answer, Client};
use crate::message::{MAX_MESSAGE_BYTES, reported_failure};

const OPERATION: &str = "loading image to docker engine";

/// How many bytes go to the connection at once, and how many such pieces wait for it.
const PIECE_BYTES: usize = 128 << 10;
const PIECES: usize = 4;

/// A part of an archive.
enum Piece {
    Data(Bytes),
    /// Without it, what went before is worth nothing.
    End,
}

/// A request to load an image, which begins with the first bytes that are written. Dropped before
/// [`finish`](Self::finish), its body breaks off, and the daemon keeps nothing.
pub(crate) struct Upload {
    client: Client,
    runtime: Handle,
    buffer: Mutex<BytesMut>,
    sender: Sender<Piece>,
    /// The other end, until the request begins.
    receiver: Mutex<Option<Receiver<Piece>>>,
    task: Mutex<Option<JoinHandle<Result<()>>>>,
}

impl Upload {
    /// Prepares a request. To be called within a runtime.
    pub(crate) fn new(client: Client) -> Arc<Self> {
        let (sender, receiver) = channel(PIECES);
        Arc::new(Self {
            client,
            runtime: Handle::current(),
            buffer: Mutex::default(),
            sender,
            receiver: Mutex::new(Some(receiver)),
            task: Mutex::default(),
        })
    }

    /// What the archive is written to, from threads that may block.
    pub(crate) fn writer(self: &Arc<Self>) -> impl Write + Send + use<> {
        UploadWriter(Arc::clone(self))
    }

    fn start(&self) {
        if let Some(receiver) = locked(&self.receiver).take() {
            let task = self.runtime.spawn(load(self.client.clone(), receiver));
            *locked(&self.task) = Some(task);
        }
    }

    /// Takes what is to be sent next, once that is enough for a piece.
    fn piece(&self, more: &[u8]) -> Option<Bytes> {
        let mut buffer = locked(&self.buffer);
        buffer.extend_from_slice(more);
        (buffer.len() >= PIECE_BYTES).then(|| buffer.split().freeze())
    }

    /// Sends the rest and the end, and waits until the daemon has the image.
    pub(crate) async fn finish(&self) -> Result<()> {
        self.start();
        let rest = locked(&self.buffer).split().freeze();
        let sent = async {
            self.sender.send(Piece::Data(rest)).await?;
            self.sender.send(Piece::End).await
        };
        let sent = sent.await;
        let ended = self.end().await.unwrap_or_else(|| Err(too_early()));
        ended.and_then(|()| sent.map_err(|_| too_early()))
    }

    /// Why the daemon takes nothing more, if so.
    pub(crate) async fn failure(&self) -> Option<Error> {
        if !self.sender.is_closed() {
            return None;
        }
        self.end().await.map(|ended| ended.err().unwrap_or_else(too_early))
    }

    /// Waits for the end of the request; once.
    async fn end(&self) -> Option<Result<()>> {
        let task = locked(&self.task).take()?;
        match task.await {
            Ok(result) => Some(result),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is shutting down.
                Err(_) => Some(Err(Error::new(ErrorKind::Cancelled, OPERATION, ""))),
            },
        }
    }
}

fn too_early() -> Error {
    Error::new(ErrorKind::Network, OPERATION, "")
        .with_detail("the Docker daemon answered before it had the whole image")
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct UploadWriter(Arc<Upload>);

impl Write for UploadWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(piece) = self.0.piece(bytes) {
            self.0.start();
            // Why nobody takes it is told by `Upload::failure`.
            let sent = self.0.sender.blocking_send(Piece::Data(piece));
            sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sends the pieces as they come, and reads what the daemon says to them.
///
/// Source: containers/image, `daemon.imageLoad`.
async fn load(client: Client, receiver: Receiver<Piece>) -> Result<()> {
    let turn = Arc::new(Turn::default());
    let body = Pieces { receiver, turn: Arc::clone(&turn) }.boxed_unsync();
    let silence = client.options().silence_timeout;
    let work = async {
        let path = "/images/load?quiet=1";
        let answer = client.send(OPERATION, Method::POST, path, body).await?;
        if !answer.is_success() {
            return Err(answer.refusal(&client).await);
        }
        read_progress(answer, &turn).await
    };
    tokio::select! {
        result = work => result,
        () = turn.is_missed(silence) => Err(client.silent(OPERATION)),
    }
}

async fn read_progress(mut answer: Answer, turn: &Turn) -> Result<()> {
    let mut line = Vec::new();
    while let Some(bytes) = answer.next().await? {
        turn.renew();
        let mut parts = bytes.split(|byte| *byte == b'\n');
        line.extend_from_slice(parts.next().unwrap_or_default());
        for part in parts {
            check_line(&line)?;
            line.clear();
            line.extend_from_slice(part);
        }
        if line.len() > MAX_MESSAGE_BYTES {
            return Err(Error::new(ErrorKind::LimitExceeded, "parsing docker load progress", "")
                .with_detail(format!("a line has more than {MAX_MESSAGE_BYTES} bytes")));
        }
    }
    check_line(&line)
}

fn check_line(line: &[u8]) -> Result<()> {
    if line.trim_ascii().is_empty() {
        return Ok(());
    }
    let failure = reported_failure(line).map_err(|error| {
        Error::new(ErrorKind::Corrupt, "parsing docker load progress", "").with_source(error)
    })?;
    match failure {
        None => Ok(()),
        Some(said) => Err(Error::new(ErrorKind::Io, OPERATION, "")
            .with_detail(format!("docker engine reported: {said:?}"))),
    }
}

/// The body of the request.
struct Pieces {
    receiver: Receiver<Piece>,
    turn: Arc<Turn>,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.turn.ours();
        let Poll::Ready(piece) = self.receiver.poll_recv(context) else { return Poll::Pending };
        self.turn.theirs();
        Poll::Ready(match piece {
            Some(Piece::Data(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Piece::End) => None,
            None => Some(Err(io::Error::other("the copy was given up"))),
        })
    }
}

/// Whose turn it is, so that a slow source is not taken for a silent daemon.
#[derive(Default)]
struct Turn {
    /// Since when it has been the daemon's.
    theirs_since: Mutex<Option<Instant>>,
}

impl Turn {
    fn ours(&self) {
        *locked(&self.theirs_since) = None;
    }

    fn theirs(&self) {
        *locked(&self.theirs_since) = Some(Instant::now());
    }

    /// The daemon did something.
    fn renew(&self) {
        if let Some(since) = &mut *locked(&self.theirs_since) {
            *since = Instant::now();
        }
    }

    /// Waits until the daemon has been silent for so long when it was its turn.
    async fn is_missed(&self, silence: Duration) {
        loop {
            let since = *locked(&self.theirs_since);
            let left = since.map_or(silence, |since| silence.saturating_sub(since.elapsed()));
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }
}
