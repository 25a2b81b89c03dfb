//! Offsets as lines and columns.

/// Where something begins in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// How many bytes stand before it.
    pub offset: usize,
    /// Its line, from 1.
    pub line: u32,
    /// Its column in bytes, from 1.
    pub column: u32,
}

impl Position {
    /// The position of an offset, found by counting the lines before it. An offset behind the end
    /// has the column of the end.
    ///
    /// Takes time in proportion to the offset; [`Value::position`](crate::Value::position) is the
    /// way to find many.
    pub fn of(bytes: &[u8], offset: usize) -> Self {
        let before = &bytes[..offset.min(bytes.len())];
        let line_start = before.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        let lines = before.iter().filter(|&&b| b == b'\n').count();
        Self::new(offset, lines, before.len() - line_start)
    }

    /// Counts from 0 become counts from 1.
    fn new(offset: usize, line: usize, column: usize) -> Self {
        let from_one = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
        Self { offset, line: from_one(line), column: from_one(column) }
    }
}

impl Default for Position {
    /// The beginning of a document.
    fn default() -> Self {
        Self { offset: 0, line: 1, column: 1 }
    }
}

/// The offsets of the lines of a document, to find many positions.
#[derive(Debug)]
pub(crate) struct Lines(Vec<u32>);

impl Lines {
    /// `bytes` are the bytes of a document, which are never more than `u32` can count.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let behind = |(at, &byte): (u32, &u8)| (byte == b'\n').then_some(at + 1);
        Self([0].into_iter().chain((0..).zip(bytes).filter_map(behind)).collect())
    }

    pub(crate) fn position(&self, offset: u32) -> Position {
        // The first line begins at 0, so there is always one.
        let line = self.0.partition_point(|start| *start <= offset) - 1;
        Position::new(offset as usize, line, (offset - self.0[line]) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_and_looking_up_agree() {
        let text = b"\n\nab\n\xffc\n";
        let lines = Lines::of(text);
        for (offset, line, column) in
            [(0, 1, 1), (1, 2, 1), (2, 3, 1), (3, 3, 2), (4, 3, 3), (5, 4, 1), (7, 4, 3), (8, 5, 1)]
        {
            let expected = Position { offset, line, column };
            assert_eq!(Position::of(text, offset), expected);
            assert_eq!(lines.position(offset as u32), expected);
        }
        assert_eq!(Position::of(b"ab", 9), Position { offset: 9, line: 1, column: 3 });
    }
}
