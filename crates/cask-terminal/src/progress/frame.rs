//! What the bars look like: tasks to lines of text.

use std::collections::BTreeMap;
use std::time::Duration;

use super::core::Task;
use super::plain::{percent, seconds};
use super::sanitized;
use crate::table::human_size;

/// The size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// The widest that a bar gets.
const WIDEST_BAR: usize = 30;
/// Below this a bar says nothing.
const NARROWEST_BAR: usize = 8;

/// The lines for the tasks that fit on the screen, the oldest first.
pub(super) fn frame(tasks: &BTreeMap<u64, Task>, size: Size, now: Duration) -> Vec<String> {
    // One row stays free for the cursor, one column against terminals that wrap too early.
    let rows = size.rows.saturating_sub(1).max(1);
    let columns = size.columns.saturating_sub(1);
    let shown = if tasks.len() > rows { rows - 1 } else { tasks.len() };
    let mut lines: Vec<String> =
        tasks.values().take(shown).map(|task| task_line(task, columns, now)).collect();
    if shown < tasks.len() {
        let more = format!("and {} more", tasks.len() - shown);
        lines.push(fitted(&more, columns));
    }
    lines
}

fn task_line(task: &Task, columns: usize, now: Duration) -> String {
    let label = short(&task.label);
    let status = status(task, now);
    let status_width = width(&status) + 1;
    if status_width >= columns {
        return fitted(&label, columns);
    }
    let label = fitted(&label, columns - status_width);
    let left = columns - width(&label) - status_width;
    let bar_width = left.saturating_sub(3).min(WIDEST_BAR);
    let bar = match task.total.filter(|total| *total > 0) {
        Some(total) if bar_width >= NARROWEST_BAR => {
            format!(" [{}]", bar(task.current, total, bar_width))
        }
        _ => String::new(),
    };
    format!("{label}{bar} {status}")
}

/// `12.3MB / 45.6MB 27% 3.1MB/s 11s`
fn status(task: &Task, now: Duration) -> String {
    let current = human_size(task.current);
    let mut status = match task.total.filter(|total| *total > 0) {
        Some(total) => {
            let percent = percent(task.current, total);
            format!("{current} / {} {percent}%", human_size(total))
        }
        // Not everything that takes time moves bytes.
        None if task.current == 0 => return seconds(now.saturating_sub(task.started)),
        None => current,
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a speed is no less than zero, and a cast keeps to the largest integer"
    )]
    let speed = task.speed.per_second as u64;
    let waited = seconds(now.saturating_sub(task.started));
    if speed == 0 {
        return format!("{status} {waited}");
    }
    status.push_str(&format!(" {}/s", human_size(speed)));
    if let Some(total) = task.total.filter(|total| *total > task.current) {
        let left = Duration::from_secs((total - task.current).div_ceil(speed));
        status.push_str(&format!(" {} left", seconds(left)));
    }
    status
}

/// `=======>      `
fn bar(current: u64, total: u64, width: usize) -> String {
    let filled = u128::from(current.min(total)) * (width as u128) / u128::from(total);
    let filled = usize::try_from(filled).unwrap_or(width);
    if filled == width {
        return "=".repeat(width);
    }
    let head = if filled == 0 { "" } else { ">" };
    let body = "=".repeat(filled.saturating_sub(1));
    format!("{body}{head}{}", " ".repeat(width - filled))
}

/// A label with the digests in it cut to twelve digits.
pub(super) fn short(label: &str) -> String {
    let mut out = String::new();
    let mut rest = label;
    while let Some(at) = rest.find("sha256:") {
        let digits = &rest[at + 7..];
        let count = digits.bytes().take_while(u8::is_ascii_hexdigit).count();
        out.push_str(&rest[..at]);
        if count == 64 {
            out.push_str(&digits[..12]);
        } else {
            out.push_str(&rest[at..at + 7 + count]);
        }
        rest = &digits[count..];
    }
    sanitized(&(out + rest))
}

/// The columns that a text takes. Characters beyond ASCII count as two, which some do: a line that
/// is too short does no harm, one that wraps does.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(|symbol| if symbol.is_ascii() { 1 } else { 2 }).sum()
}

/// A text cut to so many columns.
pub(super) fn fitted(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 3;
    for symbol in text.chars() {
        used += if symbol.is_ascii() { 1 } else { 2 };
        if used > columns {
            break;
        }
        out.push(symbol);
    }
    out.push_str(&"..."[..columns.min(3)]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_in_labels_are_cut() {
        let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
        assert_eq!(short(&format!("Copying blob {digest} now")), "Copying blob 0123456789ab now");
        assert_eq!(short("Copying sha256:0123 é"), "Copying sha256:0123 é");
        assert_eq!(short("a\x1b[2Jb"), "a?[2Jb");
    }

    #[test]
    fn bars_fill_up() {
        let check = |current: u64, expected: &str| assert_eq!(bar(current, 100, 10), expected);
        check(0, "          ");
        check(10, ">         ");
        check(55, "====>     ");
        check(99, "========> ");
        check(100, "==========");
        check(1000, "==========");
        assert_eq!(bar(u64::MAX, u64::MAX, 4), "====");
    }

    #[test]
    fn texts_are_cut_to_the_columns_there_are() {
        let check =
            |columns: usize, expected: &str| assert_eq!(fitted("abcdefgh", columns), expected);
        check(8, "abcdefgh");
        check(7, "abcd...");
        check(3, "...");
        check(1, ".");
        check(0, "");
        assert_eq!(fitted("ééééé", 8), "éé...");
    }
}
