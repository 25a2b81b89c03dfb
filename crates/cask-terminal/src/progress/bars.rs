//! Drawing over what was drawn before.

use std::collections::BTreeMap;
use std::time::Duration;

use super::core::Task;
use super::frame::{Size, frame, width};

/// Frames come no faster.
const INTERVAL: Duration = Duration::from_millis(100);

/// The bars on the screen.
///
/// After each drawing the cursor is at the start of the line below them. Everything here returns
/// what to write, in one piece, so that nobody sees half of it.
pub(super) struct Bars {
    size: Box<dyn Fn() -> Size + Send>,
    /// The widths of the lines that are on the screen.
    drawn: Vec<usize>,
    /// Lines to go above the bars with the next frame.
    waiting: String,
    last: Option<Duration>,
}

impl Bars {
    pub(super) fn new(size: Box<dyn Fn() -> Size + Send>) -> Self {
        Self { size, drawn: Vec::new(), waiting: String::new(), last: None }
    }

    /// Puts a line above the bars: now, if a frame is due, or else with the next frame.
    pub(super) fn line(
        &mut self,
        line: &str,
        tasks: &BTreeMap<u64, Task>,
        now: Duration,
    ) -> String {
        self.waiting.push_str(line);
        self.waiting.push('\n');
        let due = self.last.is_none_or(|last| now.saturating_sub(last) >= INTERVAL);
        if due { self.draw(tasks, now) } else { String::new() }
    }

    /// Draws a frame over the last one, and the lines that wait above it.
    pub(super) fn draw(&mut self, tasks: &BTreeMap<u64, Task>, now: Duration) -> String {
        let size = (self.size)();
        let lines = frame(tasks, size, now);
        if lines.is_empty() && self.drawn.is_empty() && self.waiting.is_empty() {
            return String::new();
        }
        self.last = Some(now);
        let mut out = String::new();
        let rows = self.rows_drawn(size);
        if rows > 0 {
            out.push_str(&format!("\x1b[{rows}A\r"));
        }
        for line in self.waiting.lines() {
            // A line is cleared after it is written, not before: nothing flickers.
            out.push_str(line);
            out.push_str("\x1b[K\n");
        }
        self.waiting.clear();
        for line in &lines {
            out.push_str(line);
            out.push_str("\x1b[K\n");
        }
        if rows > 0 {
            out.push_str("\x1b[J");
        }
        self.drawn = lines.iter().map(|line| width(line)).collect();
        out
    }

    /// A terminal that became narrower has wrapped the lines that no longer fit.
    fn rows_drawn(&self, size: Size) -> usize {
        let columns = size.columns.max(1);
        self.drawn.iter().map(|width| width.div_ceil(columns).max(1)).sum()
    }
}
