//! What all requests to one origin share.

use std::collections::HashMap;
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::Origin;

/// The gates before all origins: how many requests may wait for an answer at once, how quickly they
/// may follow each other, and until when an origin asked for silence. Clones are the same gates.
///
/// A request holds its place until the head of the answer is there. Bodies hold none in either
/// direction: an upload whose body comes from a download of the same origin must not wait for
/// itself.
#[derive(Clone)]
pub struct Gates(Arc<Inner>);

struct Inner {
    limits: Limits,
    gates: Mutex<HashMap<Origin, Arc<Gate>>>,
}

/// What an origin is spared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How many requests wait for an answer at once; uploads of streams are not counted.
    /// Default: 32.
    pub at_once: NonZeroUsize,
    /// How many requests begin within a second, evenly spread, retries and redirects included;
    /// unlimited by default.
    pub per_second: Option<NonZeroU32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { at_once: NonZeroUsize::MIN.saturating_add(31), per_second: None }
    }
}

impl Gates {
    /// Gates that let `limit` requests per origin wait for an answer at once, but at least one.
    pub fn new(limit: usize) -> Self {
        let at_once = NonZeroUsize::new(limit).unwrap_or(NonZeroUsize::MIN);
        Self::limited(Limits { at_once, ..Limits::default() })
    }

    /// Gates with the same limits for every origin.
    pub fn limited(limits: Limits) -> Self {
        Self(Arc::new(Inner { limits, gates: Mutex::default() }))
    }

    /// Sets other limits for one origin. Requests that are on their way are not counted any more.
    pub fn limit(&self, origin: &Origin, limits: Limits) {
        let mut gates = lock(&self.0.gates);
        let before = gates.get(origin);
        let reached = AtomicBool::new(before.is_some_and(|gate| gate.was_reached()));
        let silent_until = before.and_then(|gate| *lock(&gate.silent_until));
        let silent_until = Mutex::new(silent_until);
        gates.insert(origin.clone(), Arc::new(Gate { reached, silent_until, ..Gate::new(limits) }));
    }

    pub(crate) fn gate(&self, origin: &Origin) -> Arc<Gate> {
        let mut gates = lock(&self.0.gates);
        let gate =
            gates.entry(origin.clone()).or_insert_with(|| Arc::new(Gate::new(self.0.limits)));
        Arc::clone(gate)
    }
}

impl Default for Gates {
    /// 32 requests per origin.
    fn default() -> Self {
        Self::limited(Limits::default())
    }
}

impl fmt::Debug for Gates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gates").field(&self.0.limits).finish()
    }
}

pub(crate) struct Gate {
    places: Arc<Semaphore>,
    /// The time between the beginnings of two requests.
    interval: Option<Duration>,
    /// When the next request may begin.
    next: Mutex<Option<Instant>>,
    silent_until: Mutex<Option<Instant>>,
    reached: AtomicBool,
}

impl Gate {
    fn new(limits: Limits) -> Self {
        let at_once = limits.at_once.get().min(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(at_once)),
            interval: limits.per_second.map(|rate| Duration::from_secs(1) / rate.get()),
            next: Mutex::default(),
            silent_until: Mutex::default(),
            reached: AtomicBool::new(false),
        }
    }

    /// Waits for a place, if one is wanted, for the end of a silence that the origin asked for, but
    /// not longer than `most`, and for the request's turn.
    pub(crate) async fn enter(
        &self,
        wants_place: bool,
        most: Duration,
    ) -> Option<OwnedSemaphorePermit> {
        let place = match wants_place {
            true => Arc::clone(&self.places).acquire_owned().await.ok(),
            false => None,
        };
        // Looked at last: those who waited for a place may have been told to be silent since.
        let until = *lock(&self.silent_until);
        if let Some(until) = until {
            tokio::time::sleep_until(until.min(Instant::now() + most)).await;
        }
        if let Some(turn) = self.turn() {
            tokio::time::sleep_until(turn).await;
        }
        place
    }

    fn turn(&self) -> Option<Instant> {
        let interval = self.interval?;
        let now = Instant::now();
        let mut next = lock(&self.next);
        let turn = next.map_or(now, |next| next.max(now));
        *next = Some(turn + interval);
        Some(turn)
    }

    /// Keeps all requests back for a while.
    pub(crate) fn silence(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut silent_until = lock(&self.silent_until);
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Origin {
        Origin::of(&url.parse().unwrap()).unwrap()
    }

    async fn runtime_of(gate: &Gate, requests: u32) -> Duration {
        let start = Instant::now();
        for _ in 0..requests {
            gate.enter(true, Duration::from_secs(9)).await;
        }
        start.elapsed()
    }

    #[tokio::test]
    async fn requests_are_spread_evenly() {
        let limits = Limits { per_second: NonZeroU32::new(50), ..Limits::default() };
        let gates = Gates::limited(limits);
        let took = runtime_of(&gates.gate(&origin("http://a/")), 6).await;
        assert!(took >= Duration::from_millis(100), "{took:?}");
    }

    #[tokio::test]
    async fn limits_of_one_origin_leave_others_alone_and_forget_nothing() {
        let gates = Gates::new(2);
        let (one, two) = (origin("http://a/"), origin("http://b/"));
        gates.gate(&one).set_reached();
        gates.gate(&one).silence(Duration::from_millis(80));
        gates.limit(&one, Limits { at_once: NonZeroUsize::MIN, ..Limits::default() });
        let gate = gates.gate(&one);
        assert!(gate.was_reached());
        let start = Instant::now();
        let place = gate.enter(true, Duration::from_secs(9)).await;
        assert!(start.elapsed() >= Duration::from_millis(70));
        assert_eq!(gate.places.available_permits(), 0);
        assert_eq!(gates.gate(&two).places.available_permits(), 2);
        drop(place);
    }

    #[tokio::test]
    async fn whoever_waits_for_a_place_hears_of_a_silence() {
        let gates = Gates::new(1);
        let gate = gates.gate(&origin("http://a/"));
        let place = gate.enter(true, Duration::from_secs(9)).await;
        let start = Instant::now();
        let waiting = gate.enter(true, Duration::from_secs(9));
        let answering = async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            gate.silence(Duration::from_millis(80));
            drop(place);
        };
        tokio::join!(waiting, answering);
        assert!(start.elapsed() >= Duration::from_millis(80), "{:?}", start.elapsed());
        // Nobody is kept back for longer than the budget.
        gate.silence(Duration::from_secs(3600));
        gate.enter(false, Duration::from_millis(1)).await;
    }
}
