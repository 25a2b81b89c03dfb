//! How progress is shown.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cask::transport::{Event, EventSink, Outcome, TaskId, TaskKind};
use cask_terminal::progress::{self, Handle, Mode};
use clap::ValueEnum;

use crate::{report, stop};

/// How to show progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProgressChoice {
    /// Bars on a terminal, else plain
    Auto,
    /// A line for each step
    Plain,
    /// A JSON object for each event, on standard error
    Json,
    /// Nothing
    None,
}

/// A running display.
pub struct Progress {
    display: progress::Progress,
}

impl ProgressChoice {
    /// Starts the display; with `quiet`, one that shows nothing.
    pub fn start(self, quiet: bool) -> Progress {
        let mode = match self {
            _ if quiet => Mode::None,
            // The lines of a log would tear the bars.
            Self::Auto if plain_is_better() || tracing::enabled!(tracing::Level::DEBUG) => {
                Mode::Plain
            }
            Self::Auto => Mode::Auto,
            Self::Plain => Mode::Plain,
            Self::Json => Mode::Json,
            Self::None => Mode::None,
        };
        Progress { display: progress::Progress::stderr(mode) }
    }
}

fn plain_is_better() -> bool {
    std::env::var_os("CI").is_some() || std::env::var_os("TERM").is_some_and(|it| it == "dumb")
}

impl Progress {
    /// Takes the libraries' events. `doing` is the verb of the lines: "Copying", say.
    pub fn sink(&self, doing: &'static str) -> Arc<dyn EventSink> {
        let done_bytes = Mutex::new(HashMap::new());
        Arc::new(Sink { handle: self.display.handle(), doing, done_bytes })
    }

    /// Prints text for people, whatever the display shows.
    pub fn print(&self, text: &str) {
        let handle = self.display.handle();
        text.lines().for_each(|line| handle.log(line));
    }

    /// Shows a line where the display shows lines.
    pub fn message(&self, text: &str) {
        self.display.handle().event(progress::Event::message(text));
    }

    /// Warns, whatever the display shows.
    pub fn warn(&self, message: &str) {
        report::warning(&self.display.handle(), message);
    }

    /// The display, for what is no event of the libraries.
    pub fn handle(&self) -> Handle {
        self.display.handle()
    }

    /// Ends the display.
    pub fn finish(self) {
        self.display.finish();
    }
}

/// Turns the libraries' events into the display's.
struct Sink {
    handle: Handle,
    doing: &'static str,
    done_bytes: Mutex<HashMap<TaskId, u64>>,
}

impl EventSink for Sink {
    fn send(&self, event: Event) {
        if !matches!(event, Event::Advanced { .. }) {
            tracing::debug!("{event:?}");
        }
        let shown = match event {
            // The lines are those of skopeo, which scripts look for.
            Event::ReadingSignatures => progress::Event::message("Getting image source signatures"),
            Event::WritingManifest => {
                progress::Event::message("Writing manifest to image destination")
            }
            Event::StoringSignatures => progress::Event::message("Storing signatures"),
            Event::IndexStarted { chosen, of } => progress::Event::message(format!(
                "Copying {chosen} images generated from {of} images in list"
            )),
            Event::Started { task, kind, total_bytes } => {
                progress::Event::started(task.0, self.label(&kind), total_bytes)
            }
            Event::Advanced { task, bytes } => {
                let mut done = self.done_bytes.lock().unwrap_or_else(PoisonError::into_inner);
                let done = done.entry(task).or_default();
                *done += bytes;
                progress::Event::advanced(task.0, *done)
            }
            Event::Finished { task, outcome } => finished(task, outcome),
            Event::Committing => return stop::commit_begins(),
            Event::Committed => return stop::commit_ends(),
            Event::Warning { message } => return report::warning(&self.handle, &message),
            _ => return,
        };
        self.handle.event(shown);
    }
}

impl Sink {
    fn label(&self, kind: &TaskKind) -> String {
        let doing = self.doing;
        match kind {
            TaskKind::Blob { digest } => format!("{doing} blob {digest}"),
            TaskKind::Config { digest } => format!("{doing} config {digest}"),
            other => format!("{doing} {other:?}"),
        }
    }
}

fn finished(task: TaskId, outcome: Outcome) -> progress::Event {
    let (shown, message) = match outcome {
        Outcome::Reused => (progress::Outcome::Skipped, Some("already exists")),
        Outcome::Skipped => (progress::Outcome::Skipped, Some("left at its URLs")),
        Outcome::Failed => (progress::Outcome::Failed, None),
        _ => (progress::Outcome::Done, None),
    };
    progress::Event::finished(task.0, shown, message.map(Into::into))
}
