//! Progress as JSON, one object a line.

use std::time::Duration;

use serde::Serialize;

use super::core::Task;
use super::event::Outcome;

/// How often a task may say how far it is.
pub(super) const INTERVAL: Duration = Duration::from_millis(500);

#[derive(Serialize)]
struct Line<'a, T: Serialize> {
    event: &'a str,
    elapsed_ms: u128,
    #[serde(flatten)]
    content: T,
}

fn line<T: Serialize>(event: &str, now: Duration, content: T) -> String {
    let line = Line { event, elapsed_ms: now.as_millis(), content };
    // Only maps with odd keys could fail, and there are none.
    serde_json::to_string(&line).unwrap_or_default() + "\n"
}

#[derive(Serialize)]
struct Text<'a> {
    text: &'a str,
}

pub(super) fn message(text: &str, now: Duration) -> String {
    line("message", now, Text { text })
}

pub(super) fn log(text: &str, now: Duration) -> String {
    line("log", now, Text { text })
}

pub(super) fn started(id: u64, task: &Task, now: Duration) -> String {
    #[derive(Serialize)]
    struct Started<'a> {
        task: u64,
        label: &'a str,
        total: Option<u64>,
    }
    line("started", now, Started { task: id, label: &task.label, total: task.total })
}

pub(super) fn advanced(id: u64, task: &Task, now: Duration) -> String {
    #[derive(Serialize)]
    struct Advanced {
        task: u64,
        current: u64,
        total: Option<u64>,
    }
    line("advanced", now, Advanced { task: id, current: task.current, total: task.total })
}

pub(super) fn finished(
    id: u64,
    task: &Task,
    outcome: Outcome,
    message: Option<&str>,
    now: Duration,
) -> String {
    #[derive(Serialize)]
    struct Finished<'a> {
        task: u64,
        label: &'a str,
        outcome: &'a str,
        current: u64,
        message: Option<&'a str>,
    }
    let (label, current) = (&*task.label, task.current);
    line("finished", now, Finished { task: id, label, outcome: outcome.name(), current, message })
}
