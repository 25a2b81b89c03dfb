//! A body that is hashed while it is sent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use cask_http::{BodyStream, BoxError, UploadBody};
use cask_image::Hasher;
use cask_reference::{Algorithm, Digest};
use futures_util::StreamExt;

/// A body of which the digest is not known. However often it is opened, each byte is hashed once.
pub(crate) struct HashingBody {
    inner: Arc<dyn UploadBody>,
    state: Arc<Mutex<State>>,
}

struct State {
    hasher: Hasher,
    /// How many bytes there are in all, once the end was seen.
    size: Option<u64>,
}

impl HashingBody {
    pub(crate) fn new(inner: Arc<dyn UploadBody>) -> Self {
        // Nobody reads what has no bytes, and so nobody would see its end.
        let size = inner.size().filter(|size| *size == 0);
        let state = State { hasher: Hasher::new(Algorithm::Sha256), size };
        Self { inner, state: Arc::new(Mutex::new(state)) }
    }

    /// Digest and size, once the whole body was read.
    pub(crate) fn measured(&self) -> Option<(Digest, u64)> {
        let state = lock(&self.state);
        state.size.map(|size| (state.hasher.clone().finish(), size))
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl UploadBody for HashingBody {
    fn size(&self) -> Option<u64> {
        lock(&self.state).size.or(self.inner.size())
    }

    async fn open(&self, offset: u64) -> Result<BodyStream, BoxError> {
        // What the registry has beyond what was hashed is not ours: it is read and hashed again.
        let hashed = lock(&self.state).hasher.len();
        let start = offset.min(hashed);
        let inner = self.inner.open(start).await?;
        let announced = self.inner.size();
        let state = Arc::clone(&self.state);
        let begun = (inner, start, state);
        let stream = futures_util::stream::try_unfold(begun, move |begun| async move {
            let (mut inner, mut position, state) = begun;
            loop {
                let Some(chunk) = inner.next().await.transpose()? else {
                    lock(&state).size = Some(position);
                    return Ok::<_, BoxError>(None);
                };
                let seen = position;
                position += chunk.len() as u64;
                if announced.is_some_and(|announced| position > announced) {
                    return Err("the body is longer than it says".into());
                }
                hash(&state, seen, &chunk);
                // Whoever knows the size does not ask for what comes after it.
                if announced == Some(position) {
                    lock(&state).size = announced;
                }
                let unwanted = offset.saturating_sub(seen).min(chunk.len() as u64);
                let rest = chunk.slice(usize::try_from(unwanted).unwrap_or(usize::MAX)..);
                if !rest.is_empty() {
                    return Ok(Some((rest, (inner, position, state))));
                }
            }
        });
        Ok(Box::pin(stream))
    }
}

fn hash(state: &Mutex<State>, position: u64, chunk: &Bytes) {
    let hasher = &mut lock(state).hasher;
    let known = hasher.len().saturating_sub(position).min(chunk.len() as u64);
    hasher.update(&chunk[usize::try_from(known).unwrap_or(usize::MAX)..]);
}
