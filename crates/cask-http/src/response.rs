//! What is answered.

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use http::header::{HeaderMap, HeaderName};
use http::{Method, StatusCode};
use tokio::time::{Duration, Instant, timeout, timeout_at};
use url::Url;

use crate::{Deadlines, Error, ErrorKind, Origin};

/// The head of an answer, and the way to its body.
#[derive(Debug)]
pub struct Response {
    pub(crate) inner: reqwest::Response,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) origin: Origin,
    pub(crate) deadlines: Deadlines,
}

/// The body of an answer, watched for stalls.
#[derive(Debug)]
pub struct ResponseStream {
    response: Response,
    waited: Duration,
    moved: u64,
    failed: bool,
}

impl Response {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.inner.status()
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    /// One header, if it is there exactly once and is text.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        let mut values = self.inner.headers().get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }

    /// Where the answer comes from, after redirects.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The origin of [`url`](Self::url).
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// How many bytes the body has, if the server says one number.
    pub fn content_length(&self) -> Option<u64> {
        content_length(self.headers())
    }

    /// Reads the body, if it is not larger than `limit_bytes`.
    ///
    /// # Errors
    /// `LimitExceeded`, of which not more than that is read; `Timeout` after
    /// [`Deadlines::document`]; those of the connection.
    pub async fn read_limited(self, limit_bytes: u64) -> Result<Bytes, Error> {
        let too_large = |response: &Self| {
            let detail = format!("exceeded maximum allowed size of {limit_bytes} bytes");
            Error::new(ErrorKind::LimitExceeded, &response.method, &response.url, detail)
        };
        if self.method != Method::HEAD && self.content_length().is_some_and(|n| n > limit_bytes) {
            return Err(too_large(&self));
        }
        let document = self.deadlines.document;
        let end = Instant::now() + document;
        let mut stream = self.into_stream();
        let mut all = BytesMut::new();
        loop {
            let Ok(chunk) = timeout_at(end, stream.chunk()).await else {
                let Self { method, url, .. } = &stream.response;
                let detail = format!("the body has no end after {} s", document.as_secs_f64());
                return Err(Error::new(ErrorKind::Timeout, method, url, detail));
            };
            let Some(chunk) = chunk? else { break };
            if all.len() as u64 + chunk.len() as u64 > limit_bytes {
                return Err(too_large(&stream.response));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }

    /// Reads what there is of the body up to a limit, and no errors: for texts that explain.
    pub async fn read_prefix(self, limit_bytes: usize) -> Bytes {
        let end = Instant::now() + self.deadlines.document;
        let mut stream = self.into_stream();
        let mut all = BytesMut::new();
        while let Ok(Ok(Some(chunk))) = timeout_at(end, stream.chunk()).await {
            let left = limit_bytes - all.len();
            all.extend_from_slice(&chunk[..chunk.len().min(left)]);
            if all.len() == limit_bytes {
                break;
            }
        }
        all.freeze()
    }

    /// Reads what is left of a short body, so that the connection can be used again.
    pub async fn discard(self) {
        let _ = timeout(Duration::from_secs(1), self.read_prefix(64 << 10)).await;
    }

    /// The body, piece by piece.
    pub fn into_stream(self) -> ResponseStream {
        ResponseStream { response: self, waited: Duration::ZERO, moved: 0, failed: false }
    }
}

/// The one number that headers say the body's length is.
pub fn content_length(headers: &HeaderMap) -> Option<u64> {
    let mut values = headers.get_all(http::header::CONTENT_LENGTH).iter();
    let text = values.next()?.to_str().ok()?;
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if digits && values.next().is_none() { text.parse().ok() } else { None }
}

impl ResponseStream {
    /// The next piece, or `None` at the end.
    ///
    /// # Errors
    /// `Stalled`, `Interrupted`; after an error there is nothing more.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        if self.failed {
            return Ok(None);
        }
        let result = self.watched().await;
        self.failed = result.is_err();
        result
    }

    async fn watched(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let window = self.response.deadlines.stall_window;
            let start = Instant::now();
            let left = window.saturating_sub(self.waited);
            let polled = timeout(left, self.response.inner.chunk()).await;
            self.waited += start.elapsed();
            let Response { method, url, deadlines, .. } = &self.response;
            if let Ok(result) = polled {
                let chunk = result.map_err(|error| Error::from_reqwest(&error, method, url))?;
                self.moved += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
                if self.moved >= deadlines.stall_bytes {
                    (self.waited, self.moved) = (Duration::ZERO, 0);
                }
                return Ok(chunk);
            }
            if self.moved < deadlines.stall_bytes {
                let detail = format!(
                    "stalled: {} bytes in {} s, at least {} expected",
                    self.moved,
                    window.as_secs_f64(),
                    deadlines.stall_bytes
                );
                return Err(Error::new(ErrorKind::Stalled, method, url, detail));
            }
            (self.waited, self.moved) = (Duration::ZERO, 0);
        }
    }

    /// The pieces as a stream, which ends after an error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Error>> + Send {
        futures_util::stream::try_unfold(self, async |mut stream| {
            let chunk = stream.chunk().await?;
            Ok(chunk.map(|chunk| (chunk, stream)))
        })
    }
}
