//! Bytes from below, as a reader or as a stream.

use std::io::{self, Read};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use tokio::sync::mpsc;

use super::CHUNK_BYTES;
use super::check::{Check, cancelled};
use crate::{Error, Result};

/// How many chunks may wait between the thread that reads and the task that consumes.
const CHUNKS_AHEAD: usize = 4;

/// The two ways in which places read.
pub(crate) enum Bytestream {
    Read(Box<dyn Read + Send>),
    Stream(BoxStream<'static, Result<Bytes>>),
}

impl Bytestream {
    /// The bytes as a stream; a synchronous reader moves to a blocking thread first.
    pub(super) fn as_stream(&mut self, subject: &str) -> &mut BoxStream<'static, Result<Bytes>> {
        if matches!(self, Self::Read(_)) {
            let empty = Self::Stream(futures_util::stream::empty().boxed());
            if let Self::Read(read) = std::mem::replace(self, empty) {
                *self = Self::Stream(pump(read, subject.to_owned()));
            }
        }
        match self {
            Self::Stream(stream) => stream,
            Self::Read(_) => unreachable!("a reader was replaced by a stream above"),
        }
    }
}

/// The next chunk of a stream, checked.
pub(super) async fn next_chunk(
    stream: &mut BoxStream<'static, Result<Bytes>>,
    check: &mut Check,
) -> Result<Option<Bytes>> {
    loop {
        let next = match &check.cancellation {
            None => stream.next().await,
            Some(cancellation) => tokio::select! {
                biased;
                () = cancellation.cancelled() => Some(Err(cancelled())),
                next = stream.next() => next,
            },
        };
        let chunk = match next {
            None => return check.end().map(|()| None),
            Some(Err(error)) => return check.fail(error),
            Some(Ok(chunk)) => chunk,
        };
        check.pass(&chunk)?;
        if !chunk.is_empty() {
            return Ok(Some(chunk));
        }
    }
}

/// Reads on a blocking thread, a few chunks ahead.
fn pump(mut read: Box<dyn Read + Send>, subject: String) -> BoxStream<'static, Result<Bytes>> {
    let (sender, receiver) = mpsc::channel::<Result<Bytes>>(CHUNKS_AHEAD);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            let read_bytes = match read_full(&mut read, &mut chunk) {
                Ok(bytes) => bytes,
                Err(error) => {
                    let error = Error::from_io(error, "reading blob", &subject);
                    // Nobody listens any more: nobody wants the error either.
                    let _ = sender.blocking_send(Err(error));
                    return;
                }
            };
            chunk.truncate(read_bytes);
            if read_bytes == 0 || sender.blocking_send(Ok(chunk.into())).is_err() {
                return;
            }
        }
    });
    futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    })
    .boxed()
}

/// Fills the buffer as far as the reader goes.
pub(super) fn read_full(read: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match read.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(bytes) => filled += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
