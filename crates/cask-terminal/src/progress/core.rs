//! The state behind a progress display, free of clocks and threads.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use super::bars::Bars;
use super::event::{Event, Outcome};
use super::{json, plain};

/// A task that is not over.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) label: String,
    pub(super) total: Option<u64>,
    pub(super) current: u64,
    /// Moments are counted from the start of everything.
    pub(super) started: Duration,
    /// When a line last said how far the task is.
    pub(super) reported: Duration,
    pub(super) speed: Speed,
}

/// Bytes per second, as a mean in which the past fades.
#[derive(Debug)]
pub(super) struct Speed {
    pub(super) per_second: f64,
    measured: Duration,
    measured_at: u64,
}

/// The time after which a change of speed shows by two thirds.
const FADE_SECONDS: f64 = 3.0;

impl Speed {
    fn starting(now: Duration) -> Self {
        Self { per_second: 0.0, measured: now, measured_at: 0 }
    }

    /// Takes the state of a task into account.
    pub(super) fn measure(&mut self, now: Duration, current: u64) {
        let seconds = now.saturating_sub(self.measured).as_secs_f64();
        if seconds < 0.05 {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "a few digits are shown")]
        let bytes = current.saturating_sub(self.measured_at) as f64;
        let fresh = bytes / seconds;
        let weight =
            if self.measured_at == 0 { 1.0 } else { 1.0 - (-seconds / FADE_SECONDS).exp() };
        self.per_second += (fresh - self.per_second) * weight;
        self.measured = now;
        self.measured_at = current;
    }
}

/// How events are shown.
pub(super) enum View {
    Bars(Bars),
    Plain,
    Json,
    None,
}

/// What a display knows and where it writes.
pub(super) struct Core {
    view: View,
    writer: Box<dyn Write + Send>,
    tasks: BTreeMap<u64, Task>,
    /// Nothing more is shown.
    closed: bool,
}

impl Core {
    pub(super) fn new(view: View, writer: Box<dyn Write + Send>) -> Self {
        Self { view, writer, tasks: BTreeMap::new(), closed: false }
    }

    pub(super) fn has_bars(&self) -> bool {
        matches!(self.view, View::Bars(_))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes an event.
    pub(super) fn event(&mut self, event: Event, now: Duration) {
        let text = match event {
            Event::Message { text } => self.message(&text, now),
            Event::Started { task, label, total } => {
                let new = Task {
                    label,
                    total,
                    current: 0,
                    started: now,
                    reported: now,
                    speed: Speed::starting(now),
                };
                let text = self.started(task, &new, now);
                self.tasks.insert(task, new);
                text
            }
            Event::Advanced { task, current } => self.advanced(task, current, now),
            Event::Finished { task, outcome, message } => {
                self.finished(task, outcome, message.as_deref(), now)
            }
        };
        self.write(&text);
    }

    fn message(&mut self, text: &str, now: Duration) -> String {
        match &mut self.view {
            View::Bars(bars) => bars.line(&super::sanitized(text), &self.tasks, now),
            View::Plain => plain::message(text),
            View::Json => json::message(text, now),
            View::None => String::new(),
        }
    }

    fn started(&mut self, id: u64, task: &Task, now: Duration) -> String {
        match &self.view {
            View::Bars(_) | View::None => String::new(),
            View::Plain => plain::started(task),
            View::Json => json::started(id, task, now),
        }
    }

    fn advanced(&mut self, id: u64, current: u64, now: Duration) -> String {
        let Some(task) = self.tasks.get_mut(&id) else { return String::new() };
        task.current = current;
        let interval = match &self.view {
            View::Bars(_) | View::None => return String::new(),
            View::Plain => plain::INTERVAL,
            View::Json => json::INTERVAL,
        };
        if now.saturating_sub(task.reported) < interval {
            return String::new();
        }
        task.speed.measure(now, current);
        task.reported = now;
        match &self.view {
            View::Json => json::advanced(id, task, now),
            _ => plain::advanced(task),
        }
    }

    fn finished(
        &mut self,
        id: u64,
        outcome: Outcome,
        message: Option<&str>,
        now: Duration,
    ) -> String {
        let Some(task) = self.tasks.remove(&id) else { return String::new() };
        match &mut self.view {
            View::Bars(bars) => {
                let line =
                    plain::summary(&super::frame::short(&task.label), &task, outcome, message, now);
                let mut text = bars.line(&line, &self.tasks, now);
                if outcome == Outcome::Failed {
                    text.push_str(&bars.draw(&self.tasks, now));
                }
                text
            }
            View::Plain => plain::finished(&task, outcome, message, now),
            View::Json => json::finished(id, &task, outcome, message, now),
            View::None => String::new(),
        }
    }

    /// Prints a line of a log, which is already fit for a terminal, without its newline.
    pub(super) fn log(&mut self, line: &str, now: Duration) {
        let text = match &mut self.view {
            View::Bars(bars) if !self.closed => bars.line(line, &self.tasks, now),
            View::Json if !self.closed => json::log(line, now),
            _ => format!("{line}\n"),
        };
        self.write_always(&text);
    }

    /// Redraws the bars, if there are any; to be called ten times a second.
    pub(super) fn tick(&mut self, now: Duration) {
        for task in self.tasks.values_mut() {
            task.speed.measure(now, task.current);
        }
        if let View::Bars(bars) = &mut self.view {
            let text = bars.draw(&self.tasks, now);
            self.write(&text);
        }
    }

    /// Shows the last state for good and stops.
    pub(super) fn close(&mut self, now: Duration) {
        self.tick(now);
        self.closed = true;
    }

    fn write(&mut self, text: &str) {
        if !self.closed {
            self.write_always(text);
        }
    }

    /// There is nobody to tell that standard error is gone.
    fn write_always(&mut self, text: &str) {
        if !text.is_empty() {
            let _ = self.writer.write_all(text.as_bytes()).and_then(|()| self.writer.flush());
        }
    }
}
