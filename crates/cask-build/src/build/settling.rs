//! Layers that come into the store together, and not too late.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use cask_storage::Store;

use super::engine::lock;

/// How long a layer waits: so much work is lost with a build that is killed, and layers of one that is shorter cost
/// the disk once what it costs for each. A build that fails or is stopped loses nothing.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// What takes the layers of a build into the store while it goes on; it ends when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Settling {
    ended: Arc<(Mutex<bool>, Condvar)>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Settling {
    /// Takes care of the layers of a store from now on. Doing so again does nothing.
    pub(crate) fn begin(&self, store: &Store) {
        let mut thread = lock(&self.thread);
        if thread.is_some() {
            return;
        }
        let (ended, store) = (Arc::clone(&self.ended), store.clone());
        let settle = move || {
            let (ended, changed) = &*ended;
            let mut is_ended = lock(ended);
            loop {
                let waited = changed.wait_timeout(is_ended, LONGEST_WAIT);
                is_ended = waited.unwrap_or_else(PoisonError::into_inner).0;
                if *is_ended {
                    break;
                }
                drop(is_ended);
                // They wait on, and what is wrong is told when the image is to come.
                let _ = store.settle();
                is_ended = lock(ended);
            }
        };
        // Without a thread they wait for the image.
        *thread = thread::Builder::new().name("cask-build-settle".into()).spawn(settle).ok();
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        *lock(&self.ended.0) = true;
        self.ended.1.notify_all();
        if let Some(thread) = lock(&self.thread).take() {
            let _ = thread.join();
        }
    }
}
