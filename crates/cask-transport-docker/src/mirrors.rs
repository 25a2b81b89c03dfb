//! Mirrors that do not answer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use cask_transfer::Transfers;

/// How long a mirror that did not answer is not asked.
const REST: Duration = Duration::from_secs(60);

/// The hosts of mirrors that did not answer, so that each is waited for once and not for every
/// request of every image, nor by every process.
#[derive(Debug, Default)]
pub(crate) struct SilentMirrors {
    /// Until when each is left alone; `None` for those that may be asked.
    known: Mutex<HashMap<String, Option<Instant>>>,
    /// What other processes found out.
    transfers: Option<Transfers>,
}

impl SilentMirrors {
    pub(crate) fn new(transfers: Option<Transfers>) -> Self {
        Self { known: Mutex::default(), transfers }
    }

    /// Notes that a mirror did not answer.
    pub(crate) fn add(&self, host: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(host.to_owned(), Some(Instant::now() + REST));
        if let Some(transfers) = &self.transfers {
            transfers.note_silence(host);
        }
    }

    /// Whether a mirror is not to be asked for now.
    pub(crate) fn contain(&self, host: &str) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let until = known.entry(host.to_owned()).or_insert_with(|| {
            let since = self.transfers.as_ref()?.silent_for(host)?;
            Some(Instant::now() + REST.checked_sub(since)?)
        });
        until.is_some_and(|until| Instant::now() < until)
    }
}
