//! Giving up an operation of many parts.

use std::sync::Arc;

use tokio::sync::watch;

/// Tells the parts of one operation to give up. Clones share the state; nothing takes it back.
#[derive(Clone, Debug, Default)]
pub struct Cancellation(Arc<watch::Sender<bool>>);

impl Cancellation {
    /// Makes one that has not been cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells all parts to give up. Once more does nothing.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is cancelled; at once if it was.
    pub async fn cancelled(&self) {
        // The sender lives as long as this borrow, so the only end of waiting is the value.
        let _ = self.0.subscribe().wait_for(|is_cancelled| *is_cancelled).await;
    }
}
