//! Copies that run at the same time and write the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cask_image::Digest;
use tokio::sync::OwnedMutexGuard;

/// A lock for each digest. Clones share them.
///
/// Docker's registry, up to 2.8 at least, refuses a manifest that it is being given twice at the
/// same time: it reads what it has just begun to write.
#[derive(Clone, Debug, Default)]
pub(crate) struct DigestLocks(Arc<Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<()>>>>>);

impl DigestLocks {
    /// Waits until nobody else has the digest's lock.
    pub(crate) async fn lock(&self, digest: &Digest) -> OwnedMutexGuard<()> {
        let lock = {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that nobody holds or waits for are only here.
            known.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(known.entry(digest.clone()).or_default())
        };
        lock.lock_owned().await
    }
}
