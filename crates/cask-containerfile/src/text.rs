//! The text of an instruction with its lines joined, and where each byte of it is in the source.

use std::ops::Range;
use std::sync::Arc;

use crate::span::Span;

/// Text that was put together of pieces of the source.
#[derive(Clone, Debug, Default)]
pub(crate) enum Text {
    /// Nothing was added yet.
    #[default]
    Empty,
    /// One piece, as most instructions are: it is where it is in the source.
    Piece { source: Arc<str>, start: usize, end: usize },
    /// Several.
    Joined(Box<Joined>),
}

/// Several pieces of the source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Joined {
    string: String,
    /// Where each piece begins here, and in the source.
    pieces: Vec<(usize, usize)>,
}

impl Joined {
    fn push(&mut self, piece: &str, start: usize) {
        if !piece.is_empty() || self.pieces.is_empty() {
            self.pieces.push((self.string.len(), start));
            self.string.push_str(piece);
        }
    }

    /// Where a byte is in the source.
    fn offset(&self, at: usize) -> usize {
        let piece = self.pieces.partition_point(|(start, _)| *start <= at).saturating_sub(1);
        self.pieces.get(piece).map_or(0, |(start, source)| source + (at - start))
    }

    /// A part of it.
    fn part(&self, range: Range<usize>) -> Self {
        let mut part = Self::default();
        let first =
            self.pieces.partition_point(|(start, _)| *start <= range.start).saturating_sub(1);
        for (index, (start, source)) in self.pieces.iter().enumerate().skip(first) {
            let end = self.pieces.get(index + 1).map_or(self.string.len(), |(next, _)| *next);
            let (from, to) = ((*start).max(range.start), end.min(range.end));
            if *start >= range.end {
                break;
            }
            if from < to {
                part.push(&self.string[from..to], source + (from - start));
            }
        }
        part
    }
}

impl Text {
    /// Appends a piece of the source.
    pub(crate) fn push(&mut self, source: &Arc<str>, piece: Range<usize>) {
        if let Self::Empty = self {
            *self = Self::Piece { source: Arc::clone(source), start: piece.start, end: piece.end };
            return;
        }
        if let Self::Piece { source, start, end } = self {
            let mut joined = Joined::default();
            joined.push(&source[*start..*end], *start);
            *self = Self::Joined(Box::new(joined));
        }
        if let Self::Joined(joined) = self {
            joined.push(&source[piece.clone()], piece.start);
        }
    }

    /// A part of the text.
    pub(crate) fn part(&self, range: Range<usize>) -> Self {
        match self {
            Self::Empty => Self::Empty,
            Self::Piece { source, start, .. } => Self::Piece {
                source: Arc::clone(source),
                start: start + range.start,
                end: start + range.end,
            },
            Self::Joined(joined) => Self::Joined(Box::new(joined.part(range))),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Empty => "",
            Self::Piece { source, start, end } => &source[*start..*end],
            Self::Joined(joined) => &joined.string,
        }
    }

    /// Where a byte is in the source.
    fn offset(&self, at: usize) -> usize {
        match self {
            Self::Empty => 0,
            Self::Piece { start, .. } => start + at,
            Self::Joined(joined) => joined.offset(at),
        }
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

    /// Where its pieces begin here, and in the source.
    fn pieces(&self) -> &[(usize, usize)] {
        match self {
            Self::Joined(joined) => &joined.pieces,
            _ => &[],
        }
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
            && self.offset(0) == other.offset(0)
            && self.pieces() == other.pieces()
    }
}

impl Eq for Text {}
