//! What long operations tell while they run. Libraries send, programs draw.

use cask_image::Digest;

/// Numbers the tasks of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(pub u64);

/// What a task is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskKind {
    /// A layer or another blob is copied, or read.
    Blob {
        /// The digest at the source.
        digest: Digest,
    },
    /// A config is copied, or read.
    Config {
        /// The digest at the source.
        digest: Digest,
    },
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The content was written.
    Copied,
    /// The destination had it, or has mounted it.
    Reused,
    /// It needs not be stored: a foreign layer.
    Skipped,
    /// It was read, and found to be what it should be.
    Checked,
    /// It failed, or was given up because another part did; the operation returns the error.
    Failed,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The signatures of an image are about to be read.
    ReadingSignatures,
    /// What was written is about to become visible: whoever stops the operation now cannot know
    /// whether it has. [`Committed`](Self::Committed) follows, however it ends.
    Committing,
    /// What was begun by [`Committing`](Self::Committing) is over.
    Committed,
    /// A task began.
    Started {
        /// Which task.
        task: TaskId,
        /// What it is about.
        kind: TaskKind,
        /// How many bytes it will read, where that is known; none of them if it turns out that
        /// the destination has them.
        total_bytes: Option<u64>,
    },
    /// A task read so many more bytes. What has to be read again is told once: at the end of a
    /// task that was not spared the work, the sum is its `total_bytes`.
    Advanced {
        /// Which task.
        task: TaskId,
        /// How many bytes since the last event of this task.
        bytes: u64,
    },
    /// A task ended; each that was started is.
    Finished {
        /// Which task.
        task: TaskId,
        /// How.
        outcome: Outcome,
    },
    /// An index is copied. The blobs of all that is chosen of it move together.
    IndexStarted {
        /// How many of its entries are copied.
        chosen: usize,
        /// How many entries it has.
        of: usize,
    },
    /// The manifests are about to be written.
    WritingManifest,
    /// Signatures are about to be written.
    StoringSignatures,
    /// Something that the user should know and that is no error.
    Warning {
        /// A sentence without a full stop.
        message: String,
    },
}

/// Takes events. Called from several threads; must not block for long.
pub trait EventSink: Send + Sync {
    /// Takes one event.
    fn send(&self, event: Event);
}

/// Takes events and does nothing with them.
impl EventSink for () {
    fn send(&self, _event: Event) {}
}

impl<F: Fn(Event) + Send + Sync> EventSink for F {
    fn send(&self, event: Event) {
        self(event);
    }
}
