//! Telling how far a blob has come.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cask_transport::{Event, EventSink, Outcome, TaskId, Watch};

/// How far the reading of one blob has come, however often it begins anew: what was told once is
/// not told again, so that the sum of what is told is the size at the end. After the end nothing
/// is told any more, although a thread may still read what nobody wants.
pub(crate) struct Progress {
    events: Arc<dyn EventSink>,
    task: TaskId,
    /// How many bytes were told; `None` after the end.
    told: Mutex<Option<u64>>,
}

impl Progress {
    pub(crate) fn new(events: Arc<dyn EventSink>, task: TaskId) -> Arc<Self> {
        Arc::new(Self { events, task, told: Mutex::new(Some(0)) })
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

    /// Tells that the task has ended.
    pub(crate) fn finish(&self, outcome: Outcome) {
        // While the lock is held, no thread can tell of something after the end.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.take().is_some() {
            self.events.send(Event::Finished { task: self.task, outcome });
        }
    }

    fn reached(&self, position: u64) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(before) = *told else { return };
        if position > before {
            *told = Some(position);
            self.events.send(Event::Advanced { task: self.task, bytes: position - before });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_again_is_not_told_again() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&told);
        let events = Arc::new(move |event| {
            sink.lock().unwrap().push(match event {
                Event::Advanced { bytes, .. } => bytes,
                other => {
                    let (task, outcome) = (TaskId(1), Outcome::Copied);
                    assert_eq!(other, Event::Finished { task, outcome });
                    0
                }
            });
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
        progress.finish(Outcome::Copied);
        assert!(resumed(100).is_continue());
        progress.finish(Outcome::Failed);
        assert_eq!(*told.lock().unwrap(), [10, 5, 5, 2, 0], "nothing after the end");
    }
}
