//! Where something is in a text.

use std::ops::Range;

/// The longest text whose bytes a [`Span`] can name: one byte short of four gigabytes.
pub const SOURCE_MAX_BYTES: usize = u32::MAX as usize - 1;

/// A range of bytes of the source, from `start` up to and without `end`.
///
/// It takes eight bytes: a file has as many spans as half of its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Makes a span of two offsets. One behind [`SOURCE_MAX_BYTES`] names the byte behind that,
    /// which is one of no source.
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        Self { start: narrow(start), end: narrow(end) }
    }

    /// The offset of the first byte.
    #[must_use]
    pub const fn start(self) -> usize {
        self.start as usize
    }

    /// The offset after the last byte.
    #[must_use]
    pub const fn end(self) -> usize {
        self.end as usize
    }

    /// The range, to index a text with.
    #[must_use]
    pub const fn range(self) -> Range<usize> {
        self.start()..self.end()
    }

    /// The number of bytes; 0 where the end is before the start.
    #[must_use]
    pub const fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// Whether there is no byte in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The smallest span with both in it.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// Whether a byte is in it.
    #[must_use]
    pub const fn contains(self, offset: usize) -> bool {
        self.start() <= offset && offset < self.end()
    }
}

/// An offset in four bytes.
pub(crate) fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// A place as people name it: both count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters (Unicode scalar values).
    pub column: usize,
}

/// A place as the language server protocol names it: both count from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Utf16Position {
    /// The line.
    pub line: usize,
    /// The column, in UTF-16 code units: a character beyond U+FFFF counts as two.
    pub character: usize,
}

/// The beginnings of the lines of a text: turns offsets into lines and columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines {
    starts: Vec<u32>,
}

impl Lines {
    /// Finds the lines of a text. A line ends after `\n`; what is behind [`SOURCE_MAX_BYTES`] is
    /// all on one line.
    #[must_use]
    pub fn new(source: &str) -> Self {
        let bytes = &source.as_bytes()[..source.len().min(SOURCE_MAX_BYTES)];
        let count = bytes.iter().filter(|byte| **byte == b'\n').count();
        let mut starts = Vec::with_capacity(count + 1);
        starts.push(0);
        let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        starts.extend(ends.map(|(at, _)| narrow(at + 1)));
        Self { starts }
    }

    /// How many there are: the text behind the last line end is one too.
    pub(crate) fn count(&self) -> usize {
        self.starts.len()
    }

    /// The line of an offset, counted from 1. An offset behind the text is on its last line.
    #[must_use]
    pub fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start as usize <= offset)
    }

    /// The offset where a line, counted from 1, begins; `None` where there is no such line.
    #[must_use]
    pub fn start(&self, line: usize) -> Option<usize> {
        self.starts.get(line.checked_sub(1)?).map(|start| *start as usize)
    }

    /// The line and column of an offset in the text that this was made of.
    #[must_use]
    pub fn position(&self, source: &str, offset: usize) -> Position {
        let (line, before) = self.before(source, offset);
        let before = before.strip_prefix('\u{feff}').unwrap_or(before);
        Position { line, column: before.chars().count() + 1 }
    }

    /// The offset of a line and column in the text that this was made of: the inverse of
    /// [`position`](Self::position). A column behind the end of its line is that end; `None` where
    /// there is no such line or column.
    #[must_use]
    pub fn offset(&self, source: &str, position: Position) -> Option<usize> {
        let skipped = position.column.checked_sub(1)?;
        let (start, text) = (self.start(position.line)?, self.text(source, position.line));
        let shown = text.strip_prefix('\u{feff}').unwrap_or(text);
        let end = shown.char_indices().nth(skipped).map_or(shown.len(), |(at, _)| at);
        Some(start + (text.len() - shown.len()) + end)
    }

    /// The place of an offset as the language server protocol names it; of the byte order mark
    /// that begins a file, an editor has nothing, and neither has this.
    #[must_use]
    pub fn utf16_position(&self, source: &str, offset: usize) -> Utf16Position {
        let (line, before) = self.before(source, offset);
        let before = before.strip_prefix('\u{feff}').unwrap_or(before);
        Utf16Position { line: line - 1, character: before.encode_utf16().count() }
    }

    /// The offset of a place that an editor names: the inverse of
    /// [`utf16_position`](Self::utf16_position). A place behind the end of its line is that end,
    /// and so is one of a line that there is not: that of the text.
    ///
    /// Source: the protocol's specification 3.17, *Position*.
    #[must_use]
    pub fn utf16_offset(&self, source: &str, position: Utf16Position) -> usize {
        let line = position.line.saturating_add(1);
        let Some(start) = self.start(line) else { return source.len() };
        let text = self.text(source, line);
        let shown = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (mut left, mut end) = (position.character, text.len() - shown.len());
        for c in shown.chars() {
            // Between the two halves of a character is before it.
            let Some(rest) = left.checked_sub(c.len_utf16()) else { break };
            (left, end) = (rest, end + c.len_utf8());
        }
        start + end
    }

    /// The line of an offset, and what is before it on that line.
    fn before<'a>(&self, source: &'a str, offset: usize) -> (usize, &'a str) {
        let line = self.line(offset);
        let start = self.starts[line - 1] as usize;
        (line, source.get(start..offset.min(source.len())).unwrap_or_default())
    }

    /// The text of a line, counted from 1, without its end; empty where there is no such line.
    #[must_use]
    pub fn text<'a>(&self, source: &'a str, line: usize) -> &'a str {
        let Some(start) = self.start(line) else { return "" };
        let end = self.start(line + 1).unwrap_or(source.len());
        source.get(start..end).unwrap_or_default().trim_end_matches(['\r', '\n'])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_two_offsets_in_eight_bytes() {
        let span = Span::new(2, 5);
        assert_eq!((span.start(), span.end(), span.len(), span.range()), (2, 5, 3, 2..5));
        assert_eq!(size_of::<Span>(), 8);
        assert!(span.contains(2) && !span.contains(5));
        assert_eq!(span.to(Span::new(7, 8)), Span::new(2, 8));
        assert!(Span::new(3, 3).is_empty() && Span::new(5, 2).is_empty());
        let far = Span::new(usize::MAX, usize::MAX);
        assert_eq!(far.start(), SOURCE_MAX_BYTES + 1);
    }

    #[test]
    fn offsets_become_lines_and_columns() {
        fn check(source: &str, offset: usize, line: usize, column: usize) {
            let found = Lines::new(source).position(source, offset);
            assert_eq!(found, Position { line, column }, "{source:?} at {offset}");
        }
        check("", 0, 1, 1);
        check("ab\ncd", 0, 1, 1);
        check("ab\ncd", 2, 1, 3);
        check("ab\ncd", 3, 2, 1);
        check("äb\ncd", 2, 1, 2);
        check("\u{feff}ab", 3, 1, 1);
        check("ab\n", 3, 2, 1);
        check("ab\n", 99, 2, 1);
    }
    #[test]
    fn lines_and_columns_become_offsets() {
        fn check(source: &str, line: usize, column: usize, expected: Option<usize>) {
            let found = Lines::new(source).offset(source, Position { line, column });
            assert_eq!(found, expected, "{source:?} at {line}:{column}");
        }
        check("äb\ncd", 1, 2, Some(2));
        check("äb\ncd", 2, 1, Some(4));
        check("äb\r\ncd", 1, 99, Some(3));
        check("\u{feff}ab", 1, 1, Some(3));
        check("ab\n", 2, 1, Some(3));
        check("ab\n", 3, 1, None);
        check("ab\n", 1, 0, None);
        let source = "\u{feff}ä\n\u{1f433}b\r\n\nc";
        let lines = Lines::new(source);
        for (at, _) in source.char_indices().filter(|(at, c)| *at > 0 && *c != '\n') {
            assert_eq!(lines.offset(source, lines.position(source, at)), Some(at));
            assert_eq!(lines.utf16_offset(source, lines.utf16_position(source, at)), at);
        }
    }

    #[test]
    fn editors_count_in_utf_16() {
        fn check(source: &str, offset: usize, line: usize, character: usize) {
            let place = Utf16Position { line, character };
            let lines = Lines::new(source);
            assert_eq!(lines.utf16_position(source, offset), place, "{source:?} at {offset}");
            assert_eq!(lines.utf16_offset(source, place), offset, "{source:?} at {place:?}");
        }
        check("FROM a", 5, 0, 5);
        check("# ä\nx", 4, 0, 3);
        check("# \u{1f433}!\nx", 6, 0, 4);
        check("a\r\nb", 3, 1, 0);
        check("\u{feff}ab", 4, 0, 1);
        check("", 0, 0, 0);
        let lines = Lines::new("\u{1f433}\r\nb");
        let offset = |line, character| {
            lines.utf16_offset("\u{1f433}\r\nb", Utf16Position { line, character })
        };
        assert_eq!([offset(0, 1), offset(0, 99), offset(1, 99), offset(9, 0)], [0, 4, 7, 7]);
    }
}
