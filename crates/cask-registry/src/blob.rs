//! Blobs: found, read, resumed.

use bytes::Bytes;
use cask_http::{
    Backoff, ErrorKind as HttpKind, Response, ResponseStream, RetryEvent, RetryReason,
};
use cask_image::Hasher;
use cask_reference::Digest;
use futures_util::Stream;
use http::header::{HeaderValue, RANGE};
use http::{Method, StatusCode};
use url::Url;

use crate::content_range::ContentRange;
use crate::error::Doing;
use crate::{Error, ErrorKind, Event, Repository};

/// How far a download must have come for its next failure to count as the first one.
const PROGRESS_BYTES: u64 = 1 << 20;

/// A blob on its way here. Connections that break are made again, at the byte that comes next.
///
/// The bytes are as the registry sends them: whoever reads checks them, or lets
/// [`verified`](Self::verified) do it.
#[derive(Debug)]
pub struct BlobStream {
    repository: Repository,
    /// Where the blob is if not in the repository.
    foreign: Option<Url>,
    digest: Digest,
    /// How many bytes the whole blob has.
    size: Option<u64>,
    /// The next byte that the reader gets.
    position: u64,
    current: Option<ResponseStream>,
    /// Bytes that the reader has already, from a registry that starts over again.
    skip: u64,
    backoff: Backoff,
    progress: u64,
    doing: Doing,
    done: bool,
}

/// A blob on its way here that ends with an error unless it has its digest and its size.
#[derive(Debug)]
pub struct VerifiedBlob {
    stream: BlobStream,
    hasher: Option<Hasher>,
}

impl Repository {
    /// Opens a blob at an offset. `size_bytes` is the size of the whole blob as its descriptor
    /// says; where it is given, an answer that is of another size is an error.
    ///
    /// # Errors
    /// `NotFound`; `SizeMismatch` if the registry's blob is of another size, or ends before the
    /// offset; all errors of connections and credentials.
    pub async fn blob(
        &self,
        digest: &Digest,
        size_bytes: Option<u64>,
        offset: u64,
    ) -> Result<BlobStream, Error> {
        self.open_blob(None, digest, size_bytes, offset).await
    }

    /// Opens a blob at one of the URLs of its descriptor. The host there is shown neither credential
    /// nor token nor certificate of ours.
    ///
    /// # Errors
    /// As for [`blob`](Self::blob); `Denied` if the URL leads from `https` to `http`, or to a
    /// loopback or link-local address that the registry is not at itself; `Corrupt` if it is of
    /// another scheme.
    pub async fn foreign_blob(
        &self,
        url: &Url,
        digest: &Digest,
        size_bytes: Option<u64>,
        offset: u64,
    ) -> Result<BlobStream, Error> {
        self.open_blob(Some(url.clone()), digest, size_bytes, offset).await
    }

    async fn open_blob(
        &self,
        foreign: Option<Url>,
        digest: &Digest,
        size_bytes: Option<u64>,
        offset: u64,
    ) -> Result<BlobStream, Error> {
        let subject = match &foreign {
            Some(url) => format!("{digest} at {}", cask_http::redact_url(url)),
            None => format!("{digest} in {}", self.name()),
        };
        let mut stream = BlobStream {
            repository: self.clone(),
            foreign,
            digest: digest.clone(),
            size: size_bytes,
            position: offset,
            current: None,
            skip: 0,
            backoff: Backoff::new(&self.host.options().http.retry),
            progress: offset,
            doing: Doing::new("reading blob", subject),
            done: false,
        };
        match size_bytes {
            Some(size) if offset > size => Err(stream.too_large(offset)),
            // Nothing is left to be asked for.
            Some(size) if offset == size && offset > 0 => {
                stream.done = true;
                Ok(stream)
            }
            _ => {
                stream.open().await?;
                Ok(stream)
            }
        }
    }

    /// The size of a blob, or `None` if the repository has no such blob, or does not say how large
    /// it is. One request, which registries with quotas do not count.
    ///
    /// # Errors
    /// All errors of connections and credentials.
    pub async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        let doing =
            Doing::new("checking whether a blob exists:", format!("{digest} in {}", self.name()));
        let call = self.call(Method::HEAD, &format!("blobs/{digest}"));
        let response = self.host.send(&call, &doing).await?;
        match response.status() {
            StatusCode::OK => Ok(response.content_length()),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(doing.status(response).await),
        }
    }
}

impl BlobStream {
    /// The size of the whole blob, if that is known.
    pub fn size_bytes(&self) -> Option<u64> {
        self.size
    }

    /// How many bytes of the blob are behind.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Checks the blob's digest while it is read. Only for a blob opened at its start.
    ///
    /// # Errors
    /// `Unsupported` if the blob was not opened at its start.
    pub fn verified(self) -> Result<VerifiedBlob, Error> {
        if self.position != 0 {
            let detail = "only a whole blob can be verified";
            return Err(self.doing.fail(ErrorKind::Unsupported, detail));
        }
        let hasher = Some(Hasher::new(self.digest.algorithm()));
        Ok(VerifiedBlob { stream: self, hasher })
    }

    /// The next piece, or `None` at the end.
    ///
    /// # Errors
    /// `Network` if the connection breaks more often than is tried again; `Corrupt` if the registry
    /// goes on with other bytes than was asked for; `SizeMismatch`. After an error there is nothing
    /// more.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        if self.done {
            return Ok(None);
        }
        let result = self.next().await;
        self.done = !matches!(result, Ok(Some(_)));
        result
    }

    /// The pieces as a stream, which ends after an error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Error>> + Send {
        futures_util::stream::try_unfold(self, async |mut stream| {
            Ok(stream.chunk().await?.map(|chunk| (chunk, stream)))
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let Some(current) = &mut self.current else {
                // The connection broke after the last byte: there is nothing to go on with.
                if self.position > 0 && self.size == Some(self.position) {
                    return Ok(None);
                }
                self.open().await?;
                continue;
            };
            match current.chunk().await {
                Ok(Some(mut chunk)) => {
                    let skipped = self.skip.min(chunk.len() as u64);
                    self.skip -= skipped;
                    // At most the length of the piece.
                    let chunk = chunk.split_off(usize::try_from(skipped).unwrap_or(usize::MAX));
                    if chunk.is_empty() {
                        continue;
                    }
                    self.position += chunk.len() as u64;
                    if self.size.is_some_and(|size| self.position > size) {
                        return Err(self.too_large(self.position));
                    }
                    return Ok(Some(chunk));
                }
                Ok(None) if self.is_complete() => return Ok(None),
                Ok(None) => {
                    let detail = "unexpected EOF".to_owned();
                    self.broken(HttpKind::Interrupted, &detail)
                        .await
                        .map_err(|()| self.too_small())?;
                }
                Err(error) if error.kind().is_transient() => {
                    let (kind, detail) = (error.kind(), error.detail().to_owned());
                    self.broken(kind, &detail).await.map_err(|()| self.doing.http(error))?;
                }
                Err(error) => return Err(self.doing.http(error)),
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.skip == 0 && self.size.is_none_or(|size| self.position == size)
    }

    fn too_large(&self, got: u64) -> Error {
        let expected = self.size.unwrap_or_default();
        let detail =
            format!("Size mismatch when copying {}, expected {expected}, got {got}", self.digest);
        self.doing.fail(ErrorKind::SizeMismatch, detail)
    }

    fn too_small(&self) -> Error {
        self.too_large(self.position)
    }

    /// Waits until it may be tried again.
    async fn broken(&mut self, kind: HttpKind, detail: &str) -> Result<(), ()> {
        self.current = None;
        if self.position >= self.progress + PROGRESS_BYTES {
            self.backoff = Backoff::new(&self.repository.host.options().http.retry);
            self.progress = self.position;
        }
        let wait = self.backoff.next_wait(None).ok_or(())?;
        let options = self.repository.host.options();
        if let Some(events) = &options.events {
            let url = format!("{} at byte {}", self.digest, self.position);
            let reason = RetryReason::Transport(kind, detail.to_owned());
            events(&Event::Retry(RetryEvent::new("GET", url, &self.backoff, wait, reason)));
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Asks for what comes next.
    async fn open(&mut self) -> Result<(), Error> {
        let mut call = self.repository.call(Method::GET, &format!("blobs/{}", self.digest));
        if self.position > 0 {
            let range = format!("bytes={}-", self.position);
            if let Ok(value) = HeaderValue::from_str(&range) {
                call.headers.insert(RANGE, value);
            }
        }
        let host = &self.repository.host;
        let response = match &self.foreign {
            Some(url) => host.send_foreign(url, &call.headers, &self.doing).await?,
            None => host.send(&call, &self.doing).await?,
        };
        match response.status() {
            StatusCode::OK => {
                self.skip = self.position;
                self.know_size(response.content_length())?;
            }
            StatusCode::PARTIAL_CONTENT if self.position > 0 => self.check_range(&response)?,
            StatusCode::RANGE_NOT_SATISFIABLE => {
                self.size = self.size.or(ContentRange::complete_of(&response));
                let is_end = self.position > 0 && self.size == Some(self.position);
                return if is_end { Ok(()) } else { Err(self.too_small()) };
            }
            _ => return Err(self.doing.status(response).await),
        }
        self.current = Some(response.into_stream());
        Ok(())
    }

    fn know_size(&mut self, said: Option<u64>) -> Result<(), Error> {
        match (self.size, said) {
            (Some(size), Some(said)) if size != said => Err(self.too_large(said)),
            (None, Some(said)) if said < self.position => {
                self.size = Some(said);
                Err(self.too_large(self.position))
            }
            (None, said) => {
                self.size = said;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn check_range(&mut self, response: &Response) -> Result<(), Error> {
        let range = ContentRange::of(response).ok_or_else(|| {
            let detail = "the registry answers with a part of the blob, but not with which";
            self.doing.fail(ErrorKind::Corrupt, detail)
        })?;
        let sane = range.first == self.position
            && range.last >= range.first
            && range.complete.is_none_or(|complete| range.last < complete);
        if !sane {
            let detail = format!(
                "asked for the bytes from {}, the registry answers with {}-{}",
                self.position, range.first, range.last
            );
            return Err(self.doing.fail(ErrorKind::Corrupt, detail));
        }
        self.skip = 0;
        self.know_size(range.complete)
    }
}

impl VerifiedBlob {
    /// The size of the whole blob, if that is known.
    pub fn size_bytes(&self) -> Option<u64> {
        self.stream.size
    }

    /// The next piece, or `None` at the end, if all is as it should be.
    ///
    /// # Errors
    /// `DigestMismatch` at the end; those of [`BlobStream::chunk`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let chunk = self.stream.chunk().await?;
        match (&chunk, &mut self.hasher) {
            (Some(chunk), Some(hasher)) => hasher.update(chunk),
            (None, hasher) => {
                let expected = &self.stream.digest;
                if let Some(got) = hasher.take().map(Hasher::finish)
                    && got != *expected
                {
                    let detail = format!("Digest did not match, expected {expected}, got {got}");
                    return Err(self.stream.doing.fail(ErrorKind::DigestMismatch, detail));
                }
            }
            _ => {}
        }
        Ok(chunk)
    }

    /// Reads all, if it is not more than a limit.
    ///
    /// # Errors
    /// `LimitExceeded`; those of [`chunk`](Self::chunk).
    pub async fn read_limited(mut self, limit_bytes: u64) -> Result<Bytes, Error> {
        let mut all = bytes::BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if all.len() as u64 + chunk.len() as u64 > limit_bytes {
                let detail = format!("exceeded maximum allowed size of {limit_bytes} bytes");
                return Err(self.stream.doing.fail(ErrorKind::LimitExceeded, detail));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }

    /// The pieces as a stream, which ends after an error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Error>> + Send {
        futures_util::stream::try_unfold(self, async |mut blob| {
            Ok(blob.chunk().await?.map(|chunk| (chunk, blob)))
        })
    }
}
