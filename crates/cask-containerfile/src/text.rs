//! The text of an instruction with its lines joined, and where each byte of it is in the source.

use std::ops::Range;

use crate::span::Span;

/// Text that was put together of pieces of the source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text {
    string: String,
    /// Where each piece begins here, and in the source.
    pieces: Vec<(usize, usize)>,
}

impl Text {
    /// Appends a piece of the source, which begins there at `start`.
    pub(crate) fn push(&mut self, piece: &str, start: usize) {
        if !piece.is_empty() || self.pieces.is_empty() {
            self.pieces.push((self.string.len(), start));
            self.string.push_str(piece);
        }
    }

    /// Appends a part of another text.
    pub(crate) fn extend(&mut self, other: &Self, range: Range<usize>) {
        let first =
            other.pieces.partition_point(|(start, _)| *start <= range.start).saturating_sub(1);
        for (index, (start, source)) in other.pieces.iter().enumerate().skip(first) {
            let end = other.pieces.get(index + 1).map_or(other.string.len(), |(next, _)| *next);
            let (from, to) = ((*start).max(range.start), end.min(range.end));
            if *start >= range.end {
                break;
            }
            if from < to {
                self.push(&other.string[from..to], source + (from - start));
            }
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.string
    }

    /// Where a byte is in the source.
    fn offset(&self, at: usize) -> usize {
        let piece = self.pieces.partition_point(|(start, _)| *start <= at).saturating_sub(1);
        self.pieces.get(piece).map_or(0, |(start, source)| source + (at - start))
    }

    /// Where a range is in the source, from its first byte to its last; an empty one is between
    /// two bytes.
    pub(crate) fn span(&self, range: Range<usize>) -> Span {
        let start = self.offset(range.start);
        if range.is_empty() {
            return Span::new(start, start);
        }
        Span::new(start, self.offset(range.end - 1) + 1)
    }
}
