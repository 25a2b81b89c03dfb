//! What progress is made of.

/// Something that happened.
///
/// Events of a task that never started, or that has finished, change nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Something to say that is no task: `Getting image source signatures`.
    Message {
        /// The line.
        text: String,
    },
    /// A task begins.
    Started {
        /// Tells tasks apart; one that is used again begins anew.
        task: u64,
        /// What is done: `Copying blob sha256:…`.
        label: String,
        /// The size in bytes, if it is known.
        total: Option<u64>,
    },
    /// A task got further.
    Advanced {
        /// Which task.
        task: u64,
        /// How many bytes are done altogether.
        current: u64,
    },
    /// A task is over.
    Finished {
        /// Which task.
        task: u64,
        /// How it ended.
        outcome: Outcome,
        /// Why, or what came of it: `already exists`.
        message: Option<String>,
    },
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// As intended.
    Done,
    /// There was nothing to do.
    Skipped,
    /// Not as intended.
    Failed,
}

impl Outcome {
    /// `done`, `skipped` or `failed`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

impl Event {
    /// A [`Message`](Self::Message).
    pub fn message(text: impl Into<String>) -> Self {
        Self::Message { text: text.into() }
    }

    /// A [`Started`](Self::Started).
    pub fn started(task: u64, label: impl Into<String>, total: Option<u64>) -> Self {
        Self::Started { task, label: label.into(), total }
    }

    /// An [`Advanced`](Self::Advanced).
    #[must_use]
    pub fn advanced(task: u64, current: u64) -> Self {
        Self::Advanced { task, current }
    }

    /// A [`Finished`](Self::Finished).
    #[must_use]
    pub fn finished(task: u64, outcome: Outcome, message: Option<String>) -> Self {
        Self::Finished { task, outcome, message }
    }
}
