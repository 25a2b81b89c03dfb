//! Mirrors that do not answer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a mirror that did not answer is not asked.
const REST: Duration = Duration::from_secs(60);

/// The hosts of mirrors that did not answer, so that each is waited for once and not for every
/// request of every image.
#[derive(Debug, Default)]
pub(crate) struct SilentMirrors(Mutex<HashMap<String, Instant>>);

impl SilentMirrors {
    /// Notes that a mirror did not answer.
    pub(crate) fn add(&self, host: &str) {
        let mut silent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        silent.insert(host.to_owned(), Instant::now());
    }

    /// Whether a mirror is not to be asked for now.
    pub(crate) fn contain(&self, host: &str) -> bool {
        let silent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        silent.get(host).is_some_and(|since| since.elapsed() < REST)
    }
}
