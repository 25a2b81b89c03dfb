//! The table that people read, and the file that programs read.

use std::fmt::Write as _;

use serde::Serialize;

use super::corpus::Made;
use super::machine::Machine;
use super::measure::{Sample, median};

/// What one side did in a row.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Side {
    /// Every run that was measured.
    Ran(Vec<Sample>),
    /// Why it did not get to its end.
    Failed(String),
}

impl Side {
    fn median(&self) -> Option<Sample> {
        match self {
            Self::Ran(samples) => median(samples),
            Self::Failed(_) => None,
        }
    }
}

/// A row with its figures.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) goal: &'static str,
    pub(crate) ours: Side,
    pub(crate) peer: Side,
    pub(crate) floor: Side,
}

/// Everything of one run of the bench.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) corpora: Vec<Made>,
    pub(crate) rows: Vec<Measured>,
}

const HEAD: [&str; 10] = [
    "job",
    "ours",
    "peer",
    "floor",
    "wall/peer",
    "CPU/peer",
    "wall/floor",
    "output/peer",
    "written/peer",
    "goal",
];

impl Report {
    /// The report as Markdown, with columns that are as wide as what is in them.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!(
            "# Bench\n\n{}\n\nMedians: wall s / CPU s / peak MB / output MB / written MB.\n\n",
            self.machine.text()
        );
        text.push_str(&table(
            &HEAD.map(str::to_owned),
            &self.rows.iter().map(cells).collect::<Vec<_>>(),
        ));
        let failures: Vec<String> = self.rows.iter().flat_map(failures).collect();
        if !failures.is_empty() {
            let _ = write!(text, "\nWhat failed:\n\n{}\n", failures.join("\n"));
        }
        text.push_str("\nImages:\n\n");
        for made in &self.corpora {
            let _ = writeln!(text, "- {}", made.text());
        }
        text
    }
}

/// A row of the table.
fn cells(row: &Measured) -> [String; 10] {
    let [ours, peer, floor] = [&row.ours, &row.peer, &row.floor].map(Side::median);
    let wall = |sample: Sample| sample.wall_seconds;
    let cpu = |sample: Sample| sample.cpu_seconds;
    #[expect(clippy::cast_precision_loss, reason = "a ratio needs three digits")]
    let out = |sample: Sample| sample.out_bytes as f64;
    #[expect(clippy::cast_precision_loss, reason = "a ratio needs three digits")]
    let written = |sample: Sample| sample.written_bytes as f64;
    [
        row.name.to_owned(),
        figures(ours),
        figures(peer),
        figures(floor),
        ratio(ours, peer, wall),
        ratio(ours, peer, cpu),
        ratio(ours, floor, wall),
        ratio(ours, peer, out),
        ratio(ours, peer, written),
        row.goal.to_owned(),
    ]
}

fn figures(sample: Option<Sample>) -> String {
    let Some(sample) = sample else { return "failed".to_owned() };
    format!(
        "{} / {} / {:.1} / {:.1} / {:.1}",
        seconds(sample.wall_seconds),
        seconds(sample.cpu_seconds),
        megabytes(sample.peak_bytes),
        megabytes(sample.out_bytes),
        megabytes(sample.written_bytes),
    )
}

fn ratio(of: Option<Sample>, to: Option<Sample>, figure: impl Fn(Sample) -> f64) -> String {
    match (of.map(&figure), to.map(&figure)) {
        (Some(of), Some(to)) if to > 0.0 => format!("{:.2}", of / to),
        _ => String::new(),
    }
}

fn failures(row: &Measured) -> Vec<String> {
    let sides = [("ours", &row.ours), ("peer", &row.peer), ("floor", &row.floor)];
    let failed = sides.into_iter().filter_map(|(name, side)| match side {
        Side::Failed(why) => Some(format!("- {}, {name}: {why}", row.name)),
        Side::Ran(_) => None,
    });
    failed.collect()
}

fn seconds(seconds: f64) -> String {
    crate::console::seconds(std::time::Duration::from_secs_f64(seconds))
}

/// Bytes in millions.
pub(crate) fn megabytes(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "shown with one digit after the point")]
    let bytes = bytes as f64;
    bytes / 1e6
}

fn table<const COLUMNS: usize>(head: &[String; COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    let mut widths = head.each_ref().map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; COLUMNS]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!(" {cell:<width$} "));
        format!("|{}|\n", cells.collect::<Vec<_>>().join("|"))
    };
    let rule: String = widths.iter().map(|width| format!("|{}", "-".repeat(width + 2))).collect();
    let body: String = rows.iter().map(line).collect();
    format!("{}{rule}|\n{body}", line(head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_sides_have_a_reason_and_no_ratio() {
        let sample = Sample {
            wall_seconds: 0.5,
            cpu_seconds: 0.25,
            peak_bytes: 2_000_000,
            out_bytes: 0,
            written_bytes: 3_000_000,
        };
        let row = Measured {
            name: "a",
            goal: "b",
            ours: Side::Ran(vec![sample]),
            peer: Side::Failed("no such thing".to_owned()),
            floor: Side::Ran(vec![Sample { wall_seconds: 0.25, ..sample }]),
        };
        let expected = [
            "a",
            "0.50 / 0.25 / 2.0 / 0.0 / 3.0",
            "failed",
            "0.25 / 0.25 / 2.0 / 0.0 / 3.0",
            "",
            "",
            "2.00",
            "",
            "",
            "b",
        ];
        assert_eq!(cells(&row), expected);
        assert_eq!(failures(&row), ["- a, peer: no such thing"]);
    }

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        let row = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        let expected = "| a   | bb |\n|-----|----|\n| ≤ x | y  |\n";
        assert_eq!(table(&row("a", "bb"), &[row("≤ x", "y")]), expected);
    }
}
