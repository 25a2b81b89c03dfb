//! Progress as lines of a log.

use std::time::Duration;

use super::core::Task;
use super::event::Outcome;
use super::sanitized;
use crate::table::human_size;

/// How often a task may say how far it is.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);

pub(super) fn message(text: &str) -> String {
    sanitized(text) + "\n"
}

pub(super) fn started(task: &Task) -> String {
    sanitized(&task.label) + "\n"
}

/// `Copying blob sha256:… 12.3MB / 45.6MB (27%)`
pub(super) fn advanced(task: &Task) -> String {
    let label = sanitized(&task.label);
    let current = human_size(task.current);
    match task.total.filter(|total| *total > 0) {
        Some(total) => {
            let percent = percent(task.current, total);
            format!("{label} {current} / {} ({percent}%)\n", human_size(total))
        }
        None => format!("{label} {current}\n"),
    }
}

/// How much of the whole is done, in percent, never more than all.
pub(super) fn percent(current: u64, total: u64) -> u64 {
    let percent = u128::from(current) * 100 / u128::from(total.max(1));
    u64::try_from(percent.min(100)).unwrap_or(100)
}

pub(super) fn finished(
    task: &Task,
    outcome: Outcome,
    message: Option<&str>,
    now: Duration,
) -> String {
    summary(&sanitized(&task.label), task, outcome, message, now) + "\n"
}

/// `Copying blob sha256:… done: 45.6MB in 4s`
pub(super) fn summary(
    label: &str,
    task: &Task,
    outcome: Outcome,
    message: Option<&str>,
    now: Duration,
) -> String {
    let mut line = format!("{label} {}", outcome.name());
    if let Some(message) = message {
        line.push_str(&format!(": {}", sanitized(message)));
    } else if outcome == Outcome::Done && task.current > 0 {
        let taken = seconds(now.saturating_sub(task.started));
        line.push_str(&format!(": {} in {taken}", human_size(task.current)));
    }
    line
}

/// `0.4s`, `12s`, `3m05s`, `2h03m`
pub(super) fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        0..10 => format!("{:.1}s", duration.as_secs_f64()),
        seconds @ 10..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        seconds => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}
