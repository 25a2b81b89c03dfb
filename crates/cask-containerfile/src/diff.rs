//! Changes as a unified diff.

use std::fmt::Write as _;
use std::ops::Range;

use crate::edit::{Edit, apply};
use crate::span::{Lines, Span};

/// So many lines are shown around a change.
const CONTEXT: usize = 3;

/// Lines that change together: the lines before, counted from 0, and their new text.
struct Change {
    lines: Range<usize>,
    text: String,
}

/// Shows edits as `diff -u` does, with `name` as the name of the file before and after; `patch`
/// takes it. Empty if the edits change nothing; `None` where [`apply`] gives none.
///
/// ```
/// use cask_containerfile::{format_edits, parse, unified_diff};
///
/// let source = "from a\nRUN b\nCMD c\n";
/// let edits = format_edits(&parse(source).tree);
/// assert_eq!(unified_diff("Containerfile", source, &edits).unwrap(), "\
/// --- Containerfile
/// +++ Containerfile
/// @@ -1,3 +1,3 @@
/// -from a
/// +FROM a
///  RUN b
///  CMD c
/// ");
/// ```
#[must_use]
pub fn unified_diff(name: &str, source: &str, edits: &[Edit]) -> Option<String> {
    apply(source, edits)?;
    let before: Vec<&str> = source.split_inclusive('\n').collect();
    let changes = changes(source, &before, edits)?;
    let mut text = String::new();
    // How many lines more there are afterwards, so far.
    let mut added = 0_isize;
    let mut rest = changes.as_slice();
    while let Some(first) = rest.first() {
        let near = |pair: &[Change]| pair[1].lines.start <= pair[0].lines.end + 2 * CONTEXT;
        let count = 1 + rest.windows(2).take_while(|pair| near(pair)).count();
        let (hunk, others) = rest.split_at(count);
        rest = others;
        if text.is_empty() {
            let _ = write!(text, "--- {name}\n+++ {name}\n");
        }
        let end = hunk.last().map_or(first.lines.end, |last| last.lines.end);
        let lines = first.lines.start.saturating_sub(CONTEXT)..(end + CONTEXT).min(before.len());
        added += write_hunk(&mut text, &before, hunk, lines, added);
    }
    Some(text)
}

/// The changed lines, in order; changes of neighbouring lines are one.
fn changes(source: &str, before: &[&str], edits: &[Edit]) -> Option<Vec<Change>> {
    let places = Lines::new(source);
    let mut edits: Vec<&Edit> = edits.iter().collect();
    edits.sort_by_key(|edit| (edit.span.start(), edit.span.end()));
    let start_of = |line: usize| places.start(line + 1).unwrap_or(source.len());
    let mut changes: Vec<(Range<usize>, Vec<Edit>)> = Vec::new();
    for edit in edits {
        let first = (places.line(edit.span.start()) - 1).min(before.len());
        // The line after a removed line end is part of the change.
        let last = places.line(edit.span.end()) - 1;
        let is_whole = edit.text.ends_with('\n') || edit.text.is_empty();
        let at_start = start_of(last) == edit.span.end() && is_whole && last > first;
        let end = if at_start { last } else { (last + 1).min(before.len()) };
        match changes.last_mut().filter(|(lines, _)| first <= lines.end) {
            Some((lines, of_lines)) => {
                lines.end = lines.end.max(end);
                of_lines.push(edit.clone());
            }
            None => changes.push((first..end.max(first), vec![edit.clone()])),
        }
    }
    let mut found = Vec::new();
    for (lines, edits) in changes {
        let start = start_of(lines.start);
        let shift = |edit: &Edit| {
            let span = Span::new(edit.span.start() - start, edit.span.end() - start);
            Edit::new(span, edit.text.as_str())
        };
        let old = source.get(start..start_of(lines.end))?;
        let text = apply(old, &edits.iter().map(shift).collect::<Vec<_>>())?;
        if text != old {
            found.push(Change { lines, text });
        }
    }
    Some(found)
}

/// Writes a hunk; how many lines more there are after it.
fn write_hunk(
    text: &mut String,
    before: &[&str],
    hunk: &[Change],
    lines: Range<usize>,
    added: isize,
) -> isize {
    let new_lines = |change: &Change| change.text.split_inclusive('\n').count();
    let grows: isize = hunk
        .iter()
        .map(|change| new_lines(change).cast_signed() - change.lines.len().cast_signed())
        .sum();
    let start = lines.start.cast_signed();
    let (old, new) = (lines.len(), lines.len().saturating_add_signed(grows));
    let _ = writeln!(text, "@@ -{} +{} @@", place(start, old), place(start + added, new));
    let mut at = lines.start;
    for change in hunk {
        write_lines(text, ' ', &before[at..change.lines.start]);
        write_lines(text, '-', &before[change.lines.clone()]);
        write_lines(text, '+', &change.text.split_inclusive('\n').collect::<Vec<_>>());
        at = change.lines.end;
    }
    write_lines(text, ' ', &before[at..lines.end]);
    grows
}

/// `line,count`, as diff counts: no lines are behind the line that is named.
fn place(start: isize, count: usize) -> String {
    let line = if count == 0 { start } else { start + 1 };
    if count == 1 { line.to_string() } else { format!("{line},{count}") }
}

fn write_lines(text: &mut String, mark: char, lines: &[&str]) {
    for line in lines {
        text.push(mark);
        text.push_str(line);
        if !line.ends_with('\n') {
            text.push_str("\n\\ No newline at end of file\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::format_edits;
    use crate::parse::parse;

    fn check(source: &str, expected: &str) {
        let edits = format_edits(&parse(source).tree);
        assert_eq!(unified_diff("F", source, &edits).unwrap(), expected, "{source:?}");
    }

    #[test]
    fn what_does_not_change_is_not_shown() {
        check("FROM a\n", "");
        check("", "");
    }

    #[test]
    fn a_missing_line_end_is_told() {
        check(
            "FROM a",
            "--- F\n+++ F\n@@ -1 +1 @@\n-FROM a\n\\ No newline at end of file\n+FROM a\n",
        );
    }

    #[test]
    fn changes_far_from_each_other_are_hunks_of_their_own() {
        check(
            "\n\nFROM a\nRUN 1\nRUN 2\nRUN 3\nRUN 4\nRUN 5\nRUN 6\nRUN 7\nRUN  8\n",
            "--- F\n+++ F\n@@ -1,5 +1,3 @@\n-\n-\n FROM a\n RUN 1\n RUN 2\n\
             @@ -8,4 +6,4 @@\n RUN 5\n RUN 6\n RUN 7\n-RUN  8\n+RUN 8\n",
        );
    }

    #[test]
    fn changes_near_each_other_are_one_hunk() {
        check(
            "from a\nRUN b\ncopy  c d\nRUN e\n",
            "--- F\n+++ F\n@@ -1,4 +1,4 @@\n-from a\n+FROM a\n RUN b\n-copy  c d\n+COPY c d\n RUN e\n",
        );
    }
}
