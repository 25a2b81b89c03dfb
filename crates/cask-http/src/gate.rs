//! What all requests to one origin share.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::Origin;

/// The gates before all origins: how many requests may wait for an answer at once, and until when
/// an origin asked for silence. Clones are the same gates.
///
/// A request holds its place until the head of the answer is there. Bodies hold none in either
/// direction: an upload whose body comes from a download of the same origin must not wait for
/// itself.
#[derive(Clone)]
pub struct Gates(Arc<Inner>);

struct Inner {
    limit: usize,
    gates: Mutex<HashMap<Origin, Arc<Gate>>>,
}

impl Gates {
    /// Gates that let `limit` requests per origin wait for an answer at once, but at least one.
    pub fn new(limit: usize) -> Self {
        let limit = limit.clamp(1, Semaphore::MAX_PERMITS);
        Self(Arc::new(Inner { limit, gates: Mutex::default() }))
    }

    pub(crate) fn gate(&self, origin: &Origin) -> Arc<Gate> {
        let mut gates = self.0.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = gates.entry(origin.clone()).or_insert_with(|| {
            Arc::new(Gate {
                places: Arc::new(Semaphore::new(self.0.limit)),
                silent_until: Mutex::default(),
                reached: AtomicBool::new(false),
            })
        });
        Arc::clone(gate)
    }
}

impl Default for Gates {
    /// 32 requests per origin.
    fn default() -> Self {
        Self::new(32)
    }
}

impl fmt::Debug for Gates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gates({})", self.0.limit)
    }
}

pub(crate) struct Gate {
    places: Arc<Semaphore>,
    silent_until: Mutex<Option<Instant>>,
    reached: AtomicBool,
}

impl Gate {
    /// Waits for the end of a silence that the origin asked for, but not longer than `most`.
    pub(crate) async fn wait(&self, most: Duration) {
        let until = *self.silent_until.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = until {
            tokio::time::sleep_until(until.min(Instant::now() + most)).await;
        }
    }

    pub(crate) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// Keeps all requests back for a while.
    pub(crate) fn silence(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut silent_until = self.silent_until.lock().unwrap_or_else(PoisonError::into_inner);
        if silent_until.is_none_or(|other| other < until) {
            *silent_until = Some(until);
        }
    }

    /// Remembers that there is somebody.
    pub(crate) fn set_reached(&self) {
        self.reached.store(true, Ordering::Relaxed);
    }

    /// Whether there has been an answer from there.
    pub(crate) fn was_reached(&self) -> bool {
        self.reached.load(Ordering::Relaxed)
    }
}
