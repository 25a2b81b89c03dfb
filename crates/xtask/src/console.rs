//! The only module that prints.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "chores talk to whoever runs them")]

use std::time::Duration;

/// Prints a line.
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// Prints what begins now.
pub(crate) fn heading(text: &str) {
    println!("\n==> {text}");
}

/// Prints rows of cells in columns, the first row as headings.
pub(crate) fn table<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    for row in rows {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let width = width(column).unwrap_or_default();
            format!("{cell:width$}  ")
        });
        println!("{}", cells.collect::<String>().trim_end());
    }
}

/// Prints why the chore failed, with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}

/// Writes a duration as seconds, with about three significant digits.
pub(crate) fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        s if s < 0.1 => format!("{s:.4}"),
        s if s < 10.0 => format!("{s:.2}"),
        s if s < 100.0 => format!("{s:.1}"),
        s => format!("{s:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_keep_three_digits() {
        fn check(milliseconds: u64, expected: &str) {
            assert_eq!(seconds(Duration::from_millis(milliseconds)), expected);
        }
        check(0, "0.0000");
        check(3, "0.0030");
        check(99, "0.0990");
        check(1234, "1.23");
        check(12_345, "12.3");
        check(123_456, "123");
    }
}
