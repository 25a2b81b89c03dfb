//! Blobs in.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use cask_image::{Algorithm, Descriptor, Digest, Hasher, MediaType};
use http::header::{self, HeaderName};
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;

use super::mount::Source;
use super::{Answer, CONTENT_DIGEST, Call, Inner, Registry, not_held, parse_digest, set, status};
use crate::bytes_range::chunk_range;
use crate::refusal::Refusal;
use crate::upload::{Progress, Session};
use crate::{RefusalCode, RepositoryName, RequestBody, ResponseBody};

/// How many bytes are collected before they are hashed and written: 512 KiB. While they are,
/// another piece is collected.
const PIECE_BYTES: usize = 512 << 10;

/// For how long a request waits for another one that writes to the same upload: a client whose
/// connection broke comes back before this side has noticed.
const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

impl Registry {
    /// `POST`: an upload begins; or a blob is mounted; or all of it comes at once.
    pub(super) async fn begin_upload(
        &self,
        name: RepositoryName,
        call: &Call<'_>,
        body: &mut RequestBody,
    ) -> Answer {
        if !self.0.store.may_hold(&name) {
            return Err(not_held(&name));
        }
        if let Some(mount) = call.query.first("mount") {
            let digest = parse_digest(mount)?;
            let source = Source::of(call);
            if self.mount(&name, &digest, source).await? {
                return Ok(created(&name, &digest));
            }
        }
        let digest = call.query.first("digest").map(parse_digest).transpose()?;
        let of = name.clone();
        let session = self.blocking(move |inner| inner.uploads.begin(&of)).await?;
        let Some(digest) = digest else {
            return Ok(progress(&name, &session, 0, StatusCode::ACCEPTED));
        };
        let result = self.receive_all(&name, &session, &digest, call, body).await;
        if result.is_err() {
            self.0.uploads.remove(&session);
        }
        result
    }

    /// `GET`: how far an upload is.
    pub(super) async fn upload_status(&self, name: RepositoryName, id: &str) -> Answer {
        let session = self.session(&name, id).await?;
        let state = lock(&session).await?;
        Ok(progress(&name, &session, state.size, StatusCode::NO_CONTENT))
    }

    /// `DELETE`: an upload is given up.
    pub(super) async fn cancel_upload(&self, name: RepositoryName, id: &str) -> Answer {
        let session = self.session(&name, id).await?;
        lock(&session).await?.closed = true;
        self.blocking(move |inner| {
            inner.uploads.remove(&session);
            Ok(())
        })
        .await?;
        Ok(status(StatusCode::NO_CONTENT))
    }

    /// `PATCH`: a piece of a blob, or all of it.
    pub(super) async fn append(
        &self,
        name: RepositoryName,
        id: &str,
        call: &Call<'_>,
        body: &mut RequestBody,
    ) -> Answer {
        let session = self.session(&name, id).await?;
        let state = lock(&session).await?;
        let state = self.receive_chunk(&name, &session, state, call, body).await?;
        Ok(progress(&name, &session, state.size, StatusCode::ACCEPTED))
    }

    /// `PUT`: the rest of a blob, and its digest.
    pub(super) async fn finish_upload(
        &self,
        name: RepositoryName,
        id: &str,
        call: &Call<'_>,
        body: &mut RequestBody,
    ) -> Answer {
        let Some(digest) = call.query.first("digest") else {
            return Err(Refusal::new(
                RefusalCode::DigestInvalid,
                "the parameter digest is missing",
            ));
        };
        let digest = parse_digest(digest)?;
        let session = self.session(&name, id).await?;
        self.receive_all(&name, &session, &digest, call, body).await
    }

    async fn receive_all(
        &self,
        name: &RepositoryName,
        session: &Arc<Session>,
        digest: &Digest,
        call: &Call<'_>,
        body: &mut RequestBody,
    ) -> Answer {
        let state = lock(session).await?;
        let mut state = self.receive_chunk(name, session, state, call, body).await?;
        state.closed = true;
        let (size, hasher) = (state.size, state.hasher.take());
        let (session, of, wanted) = (Arc::clone(session), name.clone(), digest.clone());
        self.blocking(move |inner| {
            let stored = finish(inner, &of, &session, &wanted, size, hasher);
            inner.uploads.remove(&session);
            stored
        })
        .await?;
        Ok(created(name, digest))
    }

    async fn session(&self, name: &RepositoryName, id: &str) -> Result<Arc<Session>, Refusal> {
        let (name, id) = (name.clone(), id.to_owned());
        self.blocking(move |inner| inner.uploads.find(&name, &id)).await
    }

    /// Takes a body that begins where the upload ends. If it breaks off, what came is kept; if it
    /// has not the length that it should have, nothing of it is.
    async fn receive_chunk(
        &self,
        name: &RepositoryName,
        session: &Arc<Session>,
        state: State,
        call: &Call<'_>,
        body: &mut RequestBody,
    ) -> Result<State, Refusal> {
        let start = state.size;
        let announced = announced_length(name, session, start, call)?;
        let checkpoint = state.hasher.clone();
        let mut state = self.receive(session, state, body).await?;
        if announced.is_some_and(|announced| state.size - start != announced) {
            // What was written beyond is written over by the next chunk.
            (state.size, state.hasher) = (start, checkpoint);
            let words = "the chunk has not the length that Content-Range says";
            return Err(Refusal::new(RefusalCode::SizeInvalid, words));
        }
        Ok(state)
    }

    /// Takes a body, piece by piece: while one is hashed and written, the next is collected.
    async fn receive(
        &self,
        session: &Arc<Session>,
        state: State,
        body: &mut RequestBody,
    ) -> Result<State, Refusal> {
        let mut received = state.size;
        let mut writing = Writing::Idle(state);
        let mut piece = BytesMut::new();
        loop {
            let next = self.next_data(body).await;
            let ended = !matches!(next, Ok(Some(_)));
            if let Ok(Some(data)) = &next {
                received += data.len() as u64;
                if self.0.options.max_blob_bytes.is_some_and(|most| received > most) {
                    return Err(Refusal::new(RefusalCode::SizeInvalid, "the blob is too large")
                        .with_status(StatusCode::PAYLOAD_TOO_LARGE));
                }
                piece.extend_from_slice(data);
            }
            if piece.len() >= PIECE_BYTES || (ended && !piece.is_empty()) {
                let state = writing.join().await?;
                let piece = std::mem::take(&mut piece).freeze();
                writing = Writing::begin(session, state, piece);
            }
            if ended {
                let state = writing.join().await?;
                return next.map(|_| state);
            }
        }
    }

    /// The next data of a body; `None` at its end.
    pub(super) async fn next_data(&self, body: &mut RequestBody) -> Result<Option<Bytes>, Refusal> {
        loop {
            let frame = tokio::time::timeout(self.0.options.body_timeout, body.frame()).await;
            let Ok(frame) = frame else {
                return Err(Refusal::new(RefusalCode::BlobUploadInvalid, "the client was silent")
                    .with_status(StatusCode::REQUEST_TIMEOUT));
            };
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame
                .map_err(|_| Refusal::new(RefusalCode::BlobUploadInvalid, "the body broke off"))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }
}

impl Inner {
    /// Makes a file that was checked a blob.
    pub(super) fn add_blob(
        &self,
        name: &RepositoryName,
        file: &std::fs::File,
        digest: &Digest,
        size: u64,
    ) -> Result<(), Refusal> {
        let layout = self.writable(name)?;
        let transaction = layout.begin()?;
        let octets = MediaType::from("application/octet-stream");
        transaction.link_blob(file, &Descriptor::new(octets, digest.clone(), size))?;
        transaction.commit(&[])?;
        Ok(())
    }
}

/// Checks the digest of an upload and makes it a blob.
fn finish(
    inner: &Inner,
    name: &RepositoryName,
    session: &Session,
    expected: &Digest,
    size: u64,
    hasher: Option<Hasher>,
) -> Result<(), Refusal> {
    let failed = |error: std::io::Error| Refusal::internal(format!("reading an upload: {error}"));
    let hasher = hasher.filter(|_| expected.algorithm() == Algorithm::Sha256);
    let found = match hasher {
        Some(hasher) => hasher.finish(),
        None => session.hash(expected.algorithm(), size).map_err(failed)?,
    };
    if found != *expected {
        let words = "provided digest did not match uploaded content";
        return Err(Refusal::new(RefusalCode::DigestInvalid, words)
            .with_detail(serde_json::json!({ "digest": found.as_str() })));
    }
    // A chunk that was taken back may have left something behind the end.
    session.file.set_len(size).map_err(failed)?;
    inner.add_blob(name, &session.file, expected, size)
}

/// What is known of an upload, held by who writes to it.
type State = OwnedMutexGuard<Progress>;

/// Whether a piece is being hashed and written. The thread that does it holds the state: if the
/// client goes away meanwhile, nobody else writes before it is done.
enum Writing {
    Idle(State),
    Busy(JoinHandle<std::io::Result<State>>),
}

impl Writing {
    fn begin(session: &Arc<Session>, mut state: State, piece: Bytes) -> Self {
        let session = Arc::clone(session);
        Self::Busy(tokio::task::spawn_blocking(move || {
            session.write(state.size, &piece)?;
            if let Some(hasher) = &mut state.hasher {
                hasher.update(&piece);
            }
            state.size += piece.len() as u64;
            Ok(state)
        }))
    }

    async fn join(self) -> Result<State, Refusal> {
        match self {
            Self::Idle(state) => Ok(state),
            Self::Busy(writing) => {
                let written = writing.await.map_err(Refusal::internal)?;
                written.map_err(|error| Refusal::internal(format!("writing an upload: {error}")))
            }
        }
    }
}

/// How long a chunk is to be, if its headers say so, which also have to say where it begins.
fn announced_length(
    name: &RepositoryName,
    session: &Session,
    start: u64,
    call: &Call<'_>,
) -> Result<Option<u64>, Refusal> {
    let Some(text) = call.header(header::CONTENT_RANGE) else { return Ok(None) };
    let (first, last) = chunk_range(text).ok_or_else(|| {
        Refusal::new(RefusalCode::BlobUploadInvalid, "the header Content-Range is malformed")
    })?;
    if first != start {
        let words = "the chunk does not begin where the upload ends";
        return Err(Refusal::new(RefusalCode::BlobUploadInvalid, words)
            .with_status(StatusCode::RANGE_NOT_SATISFIABLE)
            .with_header(header::LOCATION, location(name, session))
            .with_header(header::RANGE, range_until(start)));
    }
    let announced = last - first + 1;
    if call.content_length().is_some_and(|length| length != announced) {
        let words = "Content-Length and Content-Range contradict each other";
        return Err(Refusal::new(RefusalCode::SizeInvalid, words));
    }
    Ok(Some(announced))
}

/// Waits for others who write to the same upload.
async fn lock(session: &Session) -> Result<State, Refusal> {
    let waiting = Arc::clone(&session.progress).lock_owned();
    let locked = tokio::time::timeout(BUSY_TIMEOUT, waiting).await;
    let state = locked.map_err(|_| {
        Refusal::new(RefusalCode::Unavailable, "another request writes to the upload")
            .with_header(header::RETRY_AFTER, "1")
    })?;
    if state.closed {
        return Err(Refusal::new(
            RefusalCode::BlobUploadUnknown,
            "blob upload unknown to registry",
        ));
    }
    Ok(state)
}

fn location(name: &RepositoryName, session: &Session) -> String {
    format!("/v2/{name}/blobs/uploads/{}", session.id)
}

/// What an upload has. Nothing at all is written as one byte: that is what clients know.
fn range_until(size: u64) -> String {
    format!("0-{}", size.saturating_sub(1))
}

fn progress(
    name: &RepositoryName,
    session: &Session,
    size: u64,
    code: StatusCode,
) -> Response<ResponseBody> {
    let mut response = status(code);
    set(&mut response, header::LOCATION, &location(name, session));
    set(&mut response, header::RANGE, &range_until(size));
    set(&mut response, HeaderName::from_static("docker-upload-uuid"), &session.id);
    response
}

fn created(name: &RepositoryName, digest: &Digest) -> Response<ResponseBody> {
    let mut response = status(StatusCode::CREATED);
    set(&mut response, header::LOCATION, &format!("/v2/{name}/blobs/{digest}"));
    set(&mut response, CONTENT_DIGEST, digest.as_str());
    response
}
