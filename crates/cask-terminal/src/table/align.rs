//! Columns as Go's `text/tabwriter` aligns them.

use std::borrow::Cow;

use crate::go::rune_count;

/// How wide columns are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// No column is narrower, its padding included.
    pub minimum_width: usize,
    /// Spaces after the widest cell.
    pub padding: usize,
}

impl Layout {
    /// What `podman` and `buildah` use.
    pub const PODMAN: Self = Self { minimum_width: 12, padding: 2 };
    /// What `skopeo` uses.
    pub const SKOPEO: Self = Self { minimum_width: 8, padding: 2 };
}

/// Bytes between two of these are one piece, tabs and newlines included; they vanish themselves.
const ESCAPE: u8 = 0xff;

/// Aligns the columns of a text.
///
/// A tab ends a cell. Cells one below the other make a column, which is as wide as its widest cell
/// and ends at the first line that has no such cell. What follows the last tab of a line belongs to
/// no column, and is not padded. Widths are counted in characters, a byte that is no UTF-8 being
/// one. A form feed is a newline at which all columns end.
///
/// Source: `tabwriter.NewWriter(w, minimum_width, 2, padding, ' ', tabwriter.StripEscape)`.
#[must_use]
pub fn align(text: &[u8], layout: Layout) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let lines = lines(text);
    let widths = column_widths(&lines, layout);
    let mut widths = widths.into_iter();
    for (position, line) in lines.iter().enumerate() {
        let last = line.cells.len() - 1;
        for (cell, width) in line.cells[..last].iter().zip(widths.by_ref()) {
            out.extend_from_slice(cell);
            out.resize(out.len() + width.saturating_sub(rune_count(cell)), b' ');
        }
        out.extend_from_slice(&line.cells[last]);
        if position + 1 < lines.len() {
            out.push(b'\n');
        }
    }
    out
}

/// The cells of a line, of which the last one belongs to no column; there is always one.
struct Line<'a> {
    cells: Vec<Cow<'a, [u8]>>,
    /// All columns end after this line.
    breaks: bool,
}

fn lines(text: &[u8]) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut cells = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            &ESCAPE => escaped = !escaped,
            b'\t' | b'\x0b' if !escaped => {
                cells.push(cell(&text[start..at]));
                start = at + 1;
            }
            b'\n' | b'\x0c' if !escaped => {
                cells.push(cell(&text[start..at]));
                start = at + 1;
                // Most lines have as many cells as the one before.
                let next = Vec::with_capacity(cells.len());
                let cells = std::mem::replace(&mut cells, next);
                lines.push(Line { cells, breaks: *byte == b'\x0c' });
            }
            _ => {}
        }
    }
    cells.push(cell(&text[start..]));
    lines.push(Line { cells, breaks: false });
    lines
}

/// What is shown of a cell.
fn cell(text: &[u8]) -> Cow<'_, [u8]> {
    match text.contains(&ESCAPE) {
        true => text.iter().copied().filter(|byte| *byte != ESCAPE).collect(),
        false => Cow::Borrowed(text),
    }
}

/// The width of every cell that belongs to a column, in reading order.
///
/// Only lines that have a column are looked at for the next one, so that the work is in proportion
/// to the number of cells.
fn column_widths(lines: &[Line<'_>], layout: Layout) -> Vec<usize> {
    let mut starts = Vec::with_capacity(lines.len());
    let mut count = 0;
    for line in lines {
        starts.push(count);
        count += line.cells.len() - 1;
    }
    let mut widths = vec![0; count];
    let mut members: Vec<usize> = (0..lines.len()).collect();
    for column in 0.. {
        members.retain(|line| lines[*line].cells.len() - 1 > column);
        if members.is_empty() {
            break;
        }
        let joined = |above: &usize, below: &usize| above + 1 == *below && !lines[*above].breaks;
        for block in members.chunk_by(joined) {
            let widest = block.iter().map(|line| rune_count(&lines[*line].cells[column])).max();
            let width = layout.minimum_width.max(widest.unwrap_or(0) + layout.padding);
            for line in block {
                widths[starts[*line] + column] = width;
            }
        }
    }
    widths
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, layout: Layout, expected: &str) {
        let aligned = String::from_utf8(align(text.as_bytes(), layout)).unwrap();
        assert_eq!(aligned, expected, "{text:?}");
    }

    const NARROW: Layout = Layout { minimum_width: 0, padding: 1 };

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        check("", NARROW, "");
        check("a", NARROW, "a");
        check("a\n", NARROW, "a\n");
        check("a\tb\nccc\td\n", NARROW, "a   b\nccc d\n");
        check("a\tb\nccc\td\n", Layout::SKOPEO, "a       b\nccc     d\n");
        check("a\tb\n", Layout::PODMAN, "a           b\n");
        check("abcdefghijk\tb\n", Layout::PODMAN, "abcdefghijk  b\n");
        check("é☺\tb\nabc\td", NARROW, "é☺  b\nabc d");
    }

    #[test]
    fn a_column_ends_where_a_line_has_no_such_cell() {
        check("a\tb\tc\naaaa\tbbbb\tc\n\nx\ty\n", NARROW, "a    b    c\naaaa bbbb c\n\nx y\n");
        check(
            "aaaa\tbbb\td\naa\tb\tdd\na\t\naa\tcccc\teee\n",
            NARROW,
            concat!("aaaa bbb d\n", "aa   b   dd\n", "a    \n", "aa   cccc eee\n",),
        );
        check("aaa\tb\x0ca\tb\n", NARROW, "aaa b\na b\n");
    }

    #[test]
    fn what_follows_the_last_tab_is_not_padded() {
        check("a\tb\t\nccc\td\t\n", NARROW, "a   b \nccc d \n");
        check("\t\tx\n", NARROW, "  x\n");
    }

    #[test]
    fn escaped_pieces_are_taken_whole() {
        assert_eq!(align(b"\xffa\tb\xff\tc\nd\te\n", NARROW), b"a\tb c\nd   e\n");
    }

    #[test]
    fn ten_thousand_columns_are_no_trouble() {
        let text = "x\t".repeat(10_000) + "\n" + &"\n".repeat(10_000);
        assert_eq!(align(text.as_bytes(), NARROW).len(), 20_000 + 10_001);
    }

    proptest! {
        #[test]
        fn no_text_panics_or_loses_anything(text in "[a-c\t\n\x0b\x0cé]{0,200}") {
            let kept = |text: &str| text.chars().filter(|it| it.is_alphabetic()).collect::<String>();
            let aligned = String::from_utf8(align(text.as_bytes(), Layout::PODMAN)).unwrap();
            prop_assert_eq!(kept(&aligned), kept(&text));
            let newlines = |text: &str| text.matches(['\n', '\x0c']).count();
            prop_assert_eq!(newlines(&aligned), newlines(&text));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = align(&bytes, Layout::SKOPEO);
        }
    }
}
