//! The table at the end of a build.

use std::time::Duration;

use cask_build::{BuildReport, CacheOutcome, StepOutcome};
use cask_terminal::table::{Layout, Table, spaced_size};

use super::show::title;

/// Instructions are cut to so many characters.
const WIDTH: usize = 60;

/// Time, processor time and bytes of each step.
pub(super) fn table(report: &BuildReport) -> String {
    let mut table = Table::new(["TIME", "CPU", "SIZE", "CACHE", "STEP"]);
    let mut saved = Duration::ZERO;
    for step in &report.steps {
        let StepOutcome { wall, cpu, layer_bytes, .. } = &step.outcome;
        saved += step.outcome.saved;
        let cache = match &step.outcome.cache {
            CacheOutcome::Hit => "hit",
            CacheOutcome::Miss(_) => "miss",
            _ => "",
        };
        let size = layer_bytes.map(spaced_size).unwrap_or_default();
        table.row([seconds(*wall), seconds(*cpu), size, cache.to_owned(), cut(&title(&step.step))]);
    }
    let mut text = table.render(Layout::SKOPEO);
    text += &format!("built in {}", seconds(report.wall));
    if !saved.is_zero() {
        text += &format!("; the cache saved {}", seconds(saved));
    }
    text
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(WIDTH) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{:.0}ms", time.as_secs_f64() * 1000.0),
        1..60 => format!("{:.1}s", time.as_secs_f64()),
        seconds => format!("{}m{:02}s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let check = |milliseconds: u64, expected: &str| {
            assert_eq!(seconds(Duration::from_millis(milliseconds)), expected);
        };
        check(3, "3ms");
        check(1500, "1.5s");
        check(125_000, "2m05s");
    }

    #[test]
    fn long_instructions_are_cut_between_characters() {
        assert_eq!(cut("abc"), "abc");
        assert_eq!(cut(&"ä".repeat(100)).chars().count(), WIDTH + 1);
    }
}
