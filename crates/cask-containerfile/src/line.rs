//! The text of an instruction with its lines joined, and where each byte of it is in the source.

use std::ops::Range;
use std::sync::Arc;

use crate::span::{Span, narrow};
use crate::text::{Buffer, Text};

/// A line that was put together of pieces of the source.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    text: Text,
    /// Where each piece begins in the buffer of the text, and in the source; `None` where the
    /// buffer is the source, as it is of an instruction on one line.
    pieces: Option<Arc<Vec<(u32, u32)>>>,
}

impl Line {
    /// A part of the source.
    pub(crate) fn of_source(source: &Buffer, part: Range<usize>) -> Self {
        // The source is short enough for that: see `parse`.
        Self { text: Text::slice_of(source, part), pieces: None }
    }

    /// A part of the line.
    pub(crate) fn part(&self, range: Range<usize>) -> Self {
        Self { text: self.text.slice(range), pieces: self.pieces.clone() }
    }

    pub(crate) fn as_str(&self) -> &str {
        self.text.as_str()
    }

    /// A part of the text, which shares its bytes.
    pub(crate) fn slice(&self, range: Range<usize>) -> Text {
        self.text.slice(range)
    }

    /// Where a text is in this line; `None` where it was not cut from it.
    pub(crate) fn place_of(&self, text: &Text) -> Option<Range<usize>> {
        self.text.place_of(text)
    }

    /// Where a byte is in the source.
    fn offset(&self, at: usize) -> usize {
        let at = self.text.start() + at;
        let Some(pieces) = &self.pieces else { return at };
        let piece = pieces.partition_point(|(start, _)| *start as usize <= at).saturating_sub(1);
        let place = pieces.get(piece);
        place.map_or(0, |(start, source)| *source as usize + (at - *start as usize))
    }

    /// Where the line ends in the source.
    pub(crate) fn end(&self) -> usize {
        self.offset(self.as_str().len())
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

impl PartialEq for Line {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.offset(0) == other.offset(0) && self.pieces == other.pieces
    }
}

impl Eq for Line {}

/// A line that is being put together.
#[derive(Debug, Default)]
pub(crate) struct Joining {
    string: String,
    pieces: Vec<(u32, u32)>,
}

impl Joining {
    /// Appends a piece of the source.
    pub(crate) fn push(&mut self, source: &str, piece: Range<usize>) {
        if !piece.is_empty() || self.pieces.is_empty() {
            self.pieces.push((narrow(self.string.len()), narrow(piece.start)));
            self.string.push_str(&source[piece]);
        }
    }

    pub(crate) fn finish(self) -> Line {
        Line { text: Text::from(self.string), pieces: Some(Arc::new(self.pieces)) }
    }
}
