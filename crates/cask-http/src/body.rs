//! What is sent: bytes that can be opened again.

use std::error::Error as StdError;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;

/// The size of the pieces in which bytes that are in memory are handed to a connection.
const PIECE_BYTES: usize = 64 << 10;

/// Any error that can travel between threads.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// The bytes of a body, piece by piece.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, BoxError>> + Send>>;

/// Bytes to send that can be opened again, at any offset, so that sending them can be tried again.
#[async_trait]
pub trait UploadBody: Send + Sync {
    /// How many bytes there are in all, if that is known.
    fn size(&self) -> Option<u64>;

    /// Opens the bytes that follow the first `offset` ones. The same bytes come every time.
    ///
    /// # Errors
    /// Whatever the implementation has to say; the error of the request has it as its source.
    async fn open(&self, offset: u64) -> Result<BodyStream, BoxError>;
}

#[async_trait]
impl UploadBody for Bytes {
    fn size(&self) -> Option<u64> {
        Some(self.len() as u64)
    }

    async fn open(&self, offset: u64) -> Result<BodyStream, BoxError> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.len());
        let mut rest = self.slice(start..);
        // In pieces, so that it is seen whether the connection takes them.
        let pieces = std::iter::from_fn(move || {
            (!rest.is_empty()).then(|| Ok(rest.split_to(rest.len().min(PIECE_BYTES))))
        });
        Ok(Box::pin(futures_util::stream::iter(pieces)))
    }
}

/// What is known of a body while it is being sent.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// How many bytes the connection took.
    pub(crate) taken: AtomicU64,
    /// Whether the connection waits for our source, and not the other way round.
    pub(crate) starved: AtomicBool,
    /// Whether all has been taken.
    pub(crate) finished: AtomicBool,
    error: Mutex<Option<BoxError>>,
}

impl Sent {
    pub(crate) fn take_error(&self) -> Option<BoxError> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A body that is watched, and cut to the bytes that were announced.
pub(crate) struct Watched {
    inner: BodyStream,
    left: Option<u64>,
    sent: Arc<Sent>,
}

impl Watched {
    pub(crate) fn new(inner: BodyStream, length: Option<u64>, sent: Arc<Sent>) -> Self {
        Self { inner, left: length, sent }
    }

    fn fail(&self, error: BoxError) -> Poll<Option<io::Result<Bytes>>> {
        *self.sent.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        Poll::Ready(Some(Err(io::Error::other("the body failed"))))
    }

    fn end(&self) -> Poll<Option<io::Result<Bytes>>> {
        self.sent.finished.store(true, Ordering::Release);
        Poll::Ready(None)
    }
}

impl Stream for Watched {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == Some(0) {
            return self.end();
        }
        let polled = self.inner.as_mut().poll_next(context);
        self.sent.starved.store(polled.is_pending(), Ordering::Release);
        match std::task::ready!(polled) {
            Some(Ok(mut bytes)) => {
                if let Some(left) = &mut self.left {
                    bytes.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= bytes.len() as u64;
                    if *left == 0 {
                        self.sent.finished.store(true, Ordering::Release);
                    }
                }
                self.sent.taken.fetch_add(bytes.len() as u64, Ordering::AcqRel);
                Poll::Ready(Some(Ok(bytes)))
            }
            Some(Err(error)) => self.fail(error),
            None => match self.left {
                Some(left) if left > 0 => self.fail(Box::new(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!("the body ended {left} bytes early"),
                ))),
                _ => self.end(),
            },
        }
    }
}
