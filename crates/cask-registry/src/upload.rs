//! Blobs on their way to the registry.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use cask_http::{
    Backoff, ErrorKind as HttpKind, RequestBody, Response, RetryEvent, RetryReason, UploadBody,
    retry_after,
};
use cask_reference::{Algorithm, Digest, Repository as RepositoryName};
use futures_util::StreamExt;
use http::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue, RANGE};
use http::{Method, StatusCode};
use url::Url;

use crate::api_error::Explained;
use crate::content_range::received_bytes;
use crate::error::Doing;
use crate::hashing_body::HashingBody;
use crate::host::{Call, Target};
use crate::manifest::claimed_digest;
use crate::session::UploadSession;
use crate::{Error, ErrorKind, Event, Repository};

/// How long a registry may take to put a blob away once it has all of it.
const FINALISE: Duration = Duration::from_secs(900);
/// How often a refused token is replaced within one upload.
const REAUTHENTICATIONS: u32 = 3;
/// The most bytes of one piece, which is held in memory if the blob's size is not known.
const MAX_CHUNK_BYTES: u64 = 64 << 20;
const LEAST_CHUNK: HeaderName = HeaderName::from_static("oci-chunk-min-length");

/// What became of the wish to have a blob of another repository.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mount {
    /// The blob is there.
    Mounted,
    /// The blob was not mounted, but an upload has begun, to be gone on with or cancelled.
    Session(UploadSession),
    /// The registry does not mount blobs, or not this one.
    Refused,
}

/// What was uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Uploaded {
    /// The digest of the blob.
    pub digest: Digest,
    /// How many bytes it has.
    pub size_bytes: u64,
}

/// How a blob is uploaded.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct UploadOptions {
    /// Goes on with an upload that has begun. A session that the registry has forgotten is no
    /// error: the upload starts anew.
    pub session: Option<UploadSession>,
    /// Who keeps sessions, to go on with them in another process: told of every new state.
    pub session_sink: Option<SessionSink>,
    /// Sends the blob in pieces, each of which is sure once it was answered. Needs more requests;
    /// it is what makes an upload worth keeping with registries that forget broken pieces.
    pub in_chunks: bool,
}

/// Who keeps sessions.
pub type SessionSink = Arc<dyn Fn(&UploadSession) + Send + Sync>;

impl std::fmt::Debug for UploadOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UploadOptions")
            .field("session", &self.session)
            .field("in_chunks", &self.in_chunks)
            .finish_non_exhaustive()
    }
}

impl Repository {
    /// Makes a blob of another repository of the same registry one of this repository, too,
    /// without sending it. One request.
    ///
    /// # Errors
    /// All errors of connections and credentials. That the registry does not do it is none.
    pub async fn mount(&self, digest: &Digest, from: &RepositoryName) -> Result<Mount, Error> {
        let doing = self.doing_upload(digest.as_str());
        let path = format!("blobs/uploads/?mount={digest}&from={}", from.path());
        let mut call = self.push_call(Method::POST, self.path(&path));
        call.scopes = call.scopes.and(&format!("repository:{}", from.path()), &["pull"]);
        let response = match self.host.send(&call, &doing).await {
            Err(error) if matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::Denied) => {
                // The one scope too many may be what is not given.
                return Ok(Mount::Refused);
            }
            other => other?,
        };
        match response.status() {
            StatusCode::CREATED => Ok(Mount::Mounted),
            StatusCode::ACCEPTED => {
                Ok(Mount::Session(self.session_of(&response, 0, 0, &doing).await?))
            }
            StatusCode::TOO_MANY_REQUESTS => Err(doing.status(response).await),
            status if status.is_client_error() => Ok(Mount::Refused),
            _ => Err(doing.status(response).await),
        }
    }

    /// Uploads a blob of which the digest, and by its body the size, are known: two requests, if
    /// nothing goes wrong. What breaks is gone on with, from where the registry says that it is.
    ///
    /// # Errors
    /// `Body` if the body cannot be read or is not of its size; `DigestMismatch` if the registry
    /// finds another digest; `Denied`, `Unsupported`, `LimitExceeded` if it does not want the blob;
    /// all errors of connections and credentials.
    pub async fn upload(
        &self,
        digest: &Digest,
        body: Arc<dyn UploadBody>,
        options: UploadOptions,
    ) -> Result<Uploaded, Error> {
        let doing = self.doing_upload(digest.as_str());
        let Some(size) = body.size() else {
            let detail = "a body of unknown size needs `upload_stream`";
            return Err(doing.fail(ErrorKind::Unsupported, detail));
        };
        let known = Known::Yes(digest.clone(), size);
        Upload::new(self, body, known, options, doing).run().await
    }

    /// Uploads a blob of which neither digest nor size need be known: three requests, if nothing
    /// goes wrong. The digest, by SHA-256, is computed on the way.
    ///
    /// # Errors
    /// As for [`upload`](Self::upload).
    pub async fn upload_stream(
        &self,
        body: Arc<dyn UploadBody>,
        options: UploadOptions,
    ) -> Result<Uploaded, Error> {
        let hashing = Arc::new(HashingBody::new(body));
        let doing = self.doing_upload("stream");
        let known = Known::AtTheEnd(Arc::clone(&hashing));
        Upload::new(self, hashing, known, options, doing).run().await
    }

    /// Uploads a blob that is in memory: [`upload`](Self::upload) of bytes.
    ///
    /// # Errors
    /// As for [`upload`](Self::upload).
    pub async fn upload_bytes(&self, digest: &Digest, bytes: Bytes) -> Result<Uploaded, Error> {
        self.upload(digest, Arc::new(bytes), UploadOptions::default()).await
    }

    /// Begins an upload. [`upload`](Self::upload) does so by itself.
    ///
    /// # Errors
    /// As for [`upload`](Self::upload).
    pub async fn start_upload(&self) -> Result<UploadSession, Error> {
        self.start_upload_by(Algorithm::Sha256).await
    }

    /// A registry that hashes while it receives has to know by what, if not by SHA-256.
    ///
    /// Source: OCI distribution specification, "Pushing blobs", `digest-algorithm`.
    async fn start_upload_by(&self, algorithm: Algorithm) -> Result<UploadSession, Error> {
        let doing = self.doing_upload("");
        let path = match algorithm {
            Algorithm::Sha256 => "blobs/uploads/".to_owned(),
            other => format!("blobs/uploads/?digest-algorithm={other}"),
        };
        let call = self.push_call(Method::POST, self.path(&path));
        let response = self.host.send(&call, &doing).await?;
        if response.status() != StatusCode::ACCEPTED {
            return Err(doing.status(response).await);
        }
        let least = response.header(LEAST_CHUNK).and_then(|text| text.parse().ok()).unwrap_or(0);
        self.session_of(&response, 0, least, &doing).await
    }

    /// Asks how far an upload has come; `None` if the registry has forgotten it.
    ///
    /// # Errors
    /// All errors of connections and credentials.
    pub async fn upload_status(
        &self,
        session: &UploadSession,
    ) -> Result<Option<UploadSession>, Error> {
        let doing = self.doing_upload("");
        let call = self.push_call(Method::GET, self.at(session, &doing)?);
        let response = self.host.send(&call, &doing).await?;
        let status = response.status();
        if !status.is_success() {
            return if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
                Ok(None)
            } else {
                Err(doing.status(response).await)
            };
        }
        let Some(received) = response.header(RANGE).and_then(received_bytes) else {
            return Ok(None);
        };
        if response.header(http::header::LOCATION).is_none() {
            return Ok(Some(UploadSession { received_bytes: received, ..session.clone() }));
        }
        self.session_of(&response, received, session.least_chunk_bytes, &doing).await.map(Some)
    }

    /// Gives an upload up; the registry may throw away what it has. That it has forgotten already,
    /// or does not do this, is no error.
    ///
    /// # Errors
    /// All errors of connections and credentials.
    pub async fn cancel_upload(&self, session: &UploadSession) -> Result<(), Error> {
        let doing = Doing::new("cancelling an upload to", self.name().to_string());
        let call = self.push_call(Method::DELETE, self.at(session, &doing)?);
        self.host.send(&call, &doing).await.map(drop)
    }

    fn doing_upload(&self, what: &str) -> Doing {
        let subject = if what.is_empty() {
            format!("to {}", self.name())
        } else {
            format!("{what} to {}", self.name())
        };
        Doing::new("uploading blob", subject)
    }

    fn at(&self, session: &UploadSession, doing: &Doing) -> Result<Target, Error> {
        let url = Url::parse(&session.location).map_err(|error| {
            doing.fail(ErrorKind::Corrupt, format!("the session's location is no URL: {error}"))
        })?;
        Ok(Target::Url(url))
    }

    async fn session_of(
        &self,
        response: &Response,
        received_bytes: u64,
        least_chunk_bytes: u64,
        doing: &Doing,
    ) -> Result<UploadSession, Error> {
        let location = self.host.location(response, doing).await?.to_string();
        Ok(UploadSession { location, received_bytes, least_chunk_bytes })
    }
}

/// What is known of the blob.
enum Known {
    Yes(Digest, u64),
    AtTheEnd(Arc<HashingBody>),
}

/// One blob on its way.
struct Upload<'a> {
    repository: &'a Repository,
    body: Arc<dyn UploadBody>,
    known: Known,
    options: UploadOptions,
    doing: Doing,
    session: Option<UploadSession>,
    in_chunks: bool,
    backoff: Backoff,
    reauthentications: u32,
    /// The most bytes that the registry ever had: what it takes again is no progress.
    furthest: u64,
    /// Whether the registry has bytes of a former attempt.
    resumed: bool,
}

/// Why a step did not succeed.
enum Failure {
    /// There is no use in trying again.
    Fatal(Error),
    /// The registry has forgotten the session, or it is of no use any more.
    Lost(Error),
    /// The connection broke, or the registry says that it may work later.
    Broken(Error, RetryReason, Option<Duration>),
    /// The token was refused, and there is a new one.
    Reauthenticated(Error),
    /// The registry, or something before it, does not take that much at once.
    TooMuch(Error),
}

type Step<T> = Result<T, Failure>;

impl<'a> Upload<'a> {
    fn new(
        repository: &'a Repository,
        body: Arc<dyn UploadBody>,
        known: Known,
        mut options: UploadOptions,
        doing: Doing,
    ) -> Self {
        let session = options.session.take();
        Self {
            resumed: session.is_some(),
            backoff: Backoff::new(&repository.host.options().http.retry),
            in_chunks: options.in_chunks,
            reauthentications: 0,
            furthest: 0,
            repository,
            body,
            known,
            options,
            doing,
            session,
        }
    }

    async fn run(mut self) -> Result<Uploaded, Error> {
        if let Some(session) = self.session.take() {
            self.session = match session.received_bytes {
                // It has just begun: there is nothing to ask.
                0 if self.options.session_sink.is_none() => Some(session),
                _ => self.status(&session).await?,
            };
        }
        loop {
            let failure = match self.step().await {
                Ok(uploaded) => return Ok(uploaded),
                Err(failure) => failure,
            };
            if let Some(uploaded) = self.recover(failure).await? {
                return Ok(uploaded);
            }
        }
    }

    fn measured(&self) -> Option<(Digest, u64)> {
        match &self.known {
            Known::Yes(digest, size) => Some((digest.clone(), *size)),
            Known::AtTheEnd(body) => body.measured(),
        }
    }

    fn size(&self) -> Option<u64> {
        match &self.known {
            Known::Yes(_, size) => Some(*size),
            Known::AtTheEnd(body) => body.size(),
        }
    }

    async fn step(&mut self) -> Step<Uploaded> {
        let session = match &self.session {
            Some(session) => session.clone(),
            None => {
                let algorithm = match &self.known {
                    Known::Yes(digest, _) => digest.algorithm(),
                    Known::AtTheEnd(_) => Algorithm::Sha256,
                };
                let begun = self.repository.start_upload_by(algorithm).await;
                let session = begun.map_err(Failure::Fatal)?;
                self.remember(session.clone());
                session
            }
        };
        if let Known::Yes(digest, size) = &self.known
            && session.received_bytes == 0
            && (!self.in_chunks || *size == 0)
        {
            let (digest, size) = (digest.clone(), *size);
            let body =
                RequestBody::Upload { body: Arc::clone(&self.body), offset: 0, length: Some(size) };
            let body = if size == 0 { RequestBody::Empty } else { body };
            return self.put(&session, body, digest, size).await;
        }
        let session = if self.in_chunks {
            self.send_chunks(session).await?
        } else {
            self.send_rest(session).await?
        };
        let Some((digest, size)) = self.measured() else {
            let detail = "the registry ended the upload before the body did";
            return Err(Failure::Fatal(self.doing.fail(ErrorKind::Corrupt, detail)));
        };
        self.put(&session, RequestBody::Empty, digest, size).await
    }

    fn remember(&mut self, session: UploadSession) {
        if let Some(sink) = &self.options.session_sink {
            sink(&session);
        }
        self.session = Some(session);
    }

    /// Sends all that is left at once.
    async fn send_rest(&mut self, mut session: UploadSession) -> Step<UploadSession> {
        loop {
            let offset = session.received_bytes;
            let length = self.size().map(|size| size.saturating_sub(offset));
            if length == Some(0) && self.measured().is_some() {
                return Ok(session);
            }
            let body = RequestBody::Upload { body: Arc::clone(&self.body), offset, length };
            let range = length.filter(|length| offset > 0 && *length > 0);
            session = self.patch(&session, body, range, length).await?;
            if session.received_bytes <= offset {
                return Ok(session);
            }
            if self.measured().is_some_and(|(_, size)| session.received_bytes >= size) {
                return Ok(session);
            }
        }
    }

    /// Sends all that is left in pieces.
    async fn send_chunks(&mut self, mut session: UploadSession) -> Step<UploadSession> {
        let wanted = self.repository.host.options().chunk_bytes;
        let piece = wanted.max(session.least_chunk_bytes).clamp(1, MAX_CHUNK_BYTES);
        loop {
            let offset = session.received_bytes;
            let (body, length) = match &self.known {
                Known::Yes(_, size) => {
                    let length = piece.min(size.saturating_sub(offset));
                    let body = Arc::clone(&self.body);
                    (RequestBody::Upload { body, offset, length: Some(length) }, length)
                }
                Known::AtTheEnd(_) => {
                    let bytes = self.read_piece(offset, piece).await?;
                    let length = bytes.len() as u64;
                    let body: Arc<dyn UploadBody> = Arc::new(bytes);
                    (RequestBody::Upload { body, offset: 0, length: Some(length) }, length)
                }
            };
            if length == 0 {
                return Ok(session);
            }
            session = self.patch(&session, body, Some(length), Some(length)).await?;
            if session.received_bytes <= offset {
                let detail = "the registry took a piece, and says that it has nothing of it";
                return Err(Failure::Fatal(self.doing.fail(ErrorKind::Corrupt, detail)));
            }
        }
    }

    async fn read_piece(&self, offset: u64, most: u64) -> Step<Bytes> {
        let fail = |source| {
            let detail = "the body to send cannot be read";
            Failure::Fatal(self.doing.fail(ErrorKind::Body, detail).with_source(source))
        };
        let mut stream = self.body.open(offset).await.map_err(fail)?;
        let mut piece = BytesMut::new();
        while (piece.len() as u64) < most {
            let Some(chunk) = stream.next().await.transpose().map_err(fail)? else { break };
            let left = usize::try_from(most - piece.len() as u64).unwrap_or(usize::MAX);
            piece.extend_from_slice(&chunk[..chunk.len().min(left)]);
        }
        Ok(piece.freeze())
    }

    async fn patch(
        &mut self,
        session: &UploadSession,
        body: RequestBody,
        range: Option<u64>,
        length: Option<u64>,
    ) -> Step<UploadSession> {
        let target = self.repository.at(session, &self.doing).map_err(Failure::Fatal)?;
        let mut call = self.streaming(Method::PATCH, target, body);
        let offset = session.received_bytes;
        if let Some(range) = range
            && let Ok(value) =
                HeaderValue::from_str(&format!("{offset}-{}", offset + range.saturating_sub(1)))
        {
            call.headers.insert(CONTENT_RANGE, value);
        }
        let response = self.send(&call).await?;
        let sent = length.or_else(|| self.measured().map(|(_, size)| size.saturating_sub(offset)));
        let said = response.header(RANGE).and_then(received_bytes);
        let expected = sent.map(|sent| offset + sent);
        let received = match (said, expected) {
            // `0-0` is both nothing and one byte.
            (Some(0), Some(1)) => 1,
            (Some(said), Some(expected)) => said.min(expected),
            (said, expected) => said.or(expected).unwrap_or(offset),
        };
        let least = session.least_chunk_bytes;
        let next = self
            .repository
            .session_of(&response, received, least, &self.doing)
            .await
            .map_err(Failure::Fatal)?;
        if next.received_bytes > self.furthest {
            self.furthest = next.received_bytes;
            self.backoff.progressed();
        }
        self.remember(next.clone());
        Ok(next)
    }

    async fn put(
        &mut self,
        session: &UploadSession,
        body: RequestBody,
        digest: Digest,
        size_bytes: u64,
    ) -> Step<Uploaded> {
        let mut url = Url::parse(&session.location).map_err(|error| {
            Failure::Fatal(self.doing.fail(ErrorKind::Corrupt, error.to_string()))
        })?;
        url.query_pairs_mut().append_pair("digest", digest.as_str());
        let call = self.streaming(Method::PUT, Target::Url(url), body);
        let response = self.send(&call).await?;
        let claimed = claimed_digest(&response, &self.doing).map_err(Failure::Fatal)?;
        if claimed.is_some_and(|c| c.algorithm() == digest.algorithm() && c != digest) {
            let detail = format!("the registry stored {digest} under another digest");
            return Err(Failure::Fatal(self.doing.fail(ErrorKind::DigestMismatch, detail)));
        }
        Ok(Uploaded { digest, size_bytes })
    }

    fn streaming(&self, method: Method, target: Target, body: RequestBody) -> Call {
        let mut call = self.repository.push_call(method, target);
        let binary = HeaderValue::from_static("application/octet-stream");
        call.headers.insert(CONTENT_TYPE, binary);
        call.body = body;
        call.once = true;
        call.response_deadline = Some(FINALISE);
        call
    }

    /// Sends one request once, and says what its failure means for the upload.
    async fn send(&mut self, call: &Call) -> Step<Response> {
        let response = match self.repository.host.send(call, &self.doing).await {
            Ok(response) => response,
            Err(error) if error.kind() == ErrorKind::Network => {
                let detail = error.detail().to_owned();
                let reason = RetryReason::Transport(HttpKind::Interrupted, detail);
                return Err(Failure::Broken(error, reason, None));
            }
            Err(error) => return Err(Failure::Fatal(error)),
        };
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let asked = retry_after(response.headers(), SystemTime::now());
        let explained = Explained::read(response).await;
        let error = self.doing.explained(&explained);
        let gone = ["BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "RANGE_INVALID"];
        Err(match status.as_u16() {
            401 => Failure::Reauthenticated(error),
            408 | 429 | 500 | 502 | 503 | 504 => {
                Failure::Broken(error, RetryReason::Status(status.as_u16()), asked)
            }
            404 | 416 => Failure::Lost(error),
            413 if !self.in_chunks => Failure::TooMuch(error),
            _ if explained.code().is_some_and(|code| gone.contains(&code)) => Failure::Lost(error),
            // What a former attempt left may have been something else.
            400 if self.resumed => Failure::Lost(error),
            _ => Failure::Fatal(error),
        })
    }

    /// Makes ready for another step, or finds that none is needed.
    async fn recover(&mut self, failure: Failure) -> Result<Option<Uploaded>, Error> {
        match failure {
            Failure::Fatal(error) => {
                self.abandon().await;
                Err(error)
            }
            Failure::TooMuch(error) => {
                tracing::debug!(%error, "uploading in pieces");
                self.abandon().await;
                self.in_chunks = true;
                Ok(None)
            }
            Failure::Reauthenticated(error) => {
                self.reauthentications += 1;
                if self.reauthentications > REAUTHENTICATIONS {
                    return Err(error);
                }
                self.go_on().await?;
                Ok(None)
            }
            Failure::Lost(error) => {
                self.wait(&error, RetryReason::Status(error.status().unwrap_or(0)), None)
                    .await
                    .map_err(|()| error)?;
                self.session = None;
                self.resumed = false;
                Ok(None)
            }
            Failure::Broken(error, reason, asked) => {
                if self.wait(&error, reason, asked).await.is_err() {
                    return Err(error);
                }
                if let Some((digest, size)) = self.measured()
                    && self.repository.blob_size(&digest).await.ok().flatten() == Some(size)
                {
                    return Ok(Some(Uploaded { digest, size_bytes: size }));
                }
                self.go_on().await?;
                Ok(None)
            }
        }
    }

    /// Finds out how far the registry has come.
    async fn go_on(&mut self) -> Result<(), Error> {
        if let Some(session) = self.session.take() {
            self.session = self.status(&session).await?;
            self.resumed = self.session.is_some();
        }
        Ok(())
    }

    async fn status(&self, session: &UploadSession) -> Result<Option<UploadSession>, Error> {
        let found = self.repository.upload_status(session).await?;
        // More than there is cannot be ours.
        Ok(found.filter(|found| self.size().is_none_or(|size| found.received_bytes <= size)))
    }

    async fn wait(
        &mut self,
        error: &Error,
        reason: RetryReason,
        asked: Option<Duration>,
    ) -> Result<(), ()> {
        let wait = self.backoff.next_wait(asked).ok_or(())?;
        if let Some(events) = &self.repository.host.options().events {
            let subject = error.subject().to_owned();
            events(&Event::Retry(RetryEvent::new("PUT", subject, &self.backoff, wait, reason)));
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Gives the session back, unless somebody keeps it.
    async fn abandon(&mut self) {
        if let Some(session) = self.session.take()
            && self.options.session_sink.is_none()
        {
            let _ = self.repository.cancel_upload(&session).await;
        }
    }
}
