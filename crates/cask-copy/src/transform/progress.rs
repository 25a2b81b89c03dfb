//! Telling how far a blob has come.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cask_transport::{Event, EventSink, TaskId, Watch};

/// How far the reading of one blob has come, however often it begins anew: what was told once is
/// not told again, so that the sum of what is told is the size at the end.
pub(crate) struct Progress {
    events: Arc<dyn EventSink>,
    task: TaskId,
    told: AtomicU64,
}

impl Progress {
    pub(crate) fn new(events: Arc<dyn EventSink>, task: TaskId) -> Arc<Self> {
        Arc::new(Self { events, task, told: AtomicU64::new(0) })
    }

    /// Watches one reader, which starts at an offset.
    pub(crate) fn watch(self: &Arc<Self>, offset: u64) -> Arc<Watch> {
        let this = Arc::clone(self);
        let position = AtomicU64::new(offset);
        Arc::new(move |bytes| {
            let reached = position.fetch_add(bytes, Ordering::Relaxed) + bytes;
            this.reached(reached);
            ControlFlow::Continue(())
        })
    }

    fn reached(&self, position: u64) {
        let before = self.told.fetch_max(position, Ordering::Relaxed);
        if position > before {
            self.events.send(Event::Advanced { task: self.task, bytes: position - before });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn what_is_read_again_is_not_told_again() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&told);
        let events = Arc::new(move |event| {
            if let Event::Advanced { bytes, .. } = event {
                sink.lock().unwrap().push(bytes);
            }
        });
        let progress = Progress::new(events, TaskId(1));
        let first = progress.watch(0);
        assert!(first(10).is_continue());
        assert!(first(5).is_continue());
        let again = progress.watch(0);
        assert!(again(12).is_continue());
        assert!(again(8).is_continue());
        let resumed = progress.watch(20);
        assert!(resumed(2).is_continue());
        assert_eq!(*told.lock().unwrap(), [10, 5, 5, 2]);
    }
}
