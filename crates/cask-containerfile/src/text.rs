//! Text that is cut from the source and shares its bytes.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, Range};
use std::sync::Arc;

/// A text that is a part of a larger one, and keeps that alive: mostly a part of the source.
///
/// It is used as a `&str`. Cutting and cloning it copy no bytes; a file has as many words as half
/// of its bytes, and each would else be an allocation.
#[derive(Clone)]
pub struct Text {
    /// In few bytes, for the same reason, and so are the offsets. What begins or ends behind the
    /// first four gigabytes has a buffer of its own.
    buffer: Buffer,
    start: u32,
    /// [`TO_THE_END`] for all that is behind the start.
    end: u32,
}

/// Shared bytes, behind a pointer that does not have their length: it is half as large.
pub(crate) type Buffer = Arc<Box<str>>;

/// The end of a text that ends where its buffer does.
const TO_THE_END: u32 = u32::MAX;

impl Text {
    /// A part of a buffer.
    pub(crate) fn slice_of(buffer: &Buffer, part: Range<usize>) -> Self {
        match (u32::try_from(part.start), u32::try_from(part.end)) {
            (Ok(start), Ok(end)) if end < TO_THE_END => {
                debug_assert!(buffer.get(part).is_some(), "the part is one of the buffer");
                Self { buffer: Arc::clone(buffer), start, end }
            }
            _ => Self::from(&buffer[part]),
        }
    }

    /// A part of the text.
    pub(crate) fn slice(&self, part: Range<usize>) -> Self {
        let start = self.start();
        Self::slice_of(&self.buffer, start + part.start..start + part.end)
    }

    /// Where it begins in its buffer.
    pub(crate) fn start(&self) -> usize {
        self.start as usize
    }

    fn end(&self) -> usize {
        if self.end == TO_THE_END { self.buffer.len() } else { self.end as usize }
    }

    /// Where another text is in this one, if it was cut from it.
    pub(crate) fn place_of(&self, other: &Self) -> Option<Range<usize>> {
        let inside = self.start <= other.start && other.end() <= self.end();
        (Arc::ptr_eq(&self.buffer, &other.buffer) && inside)
            .then(|| other.start() - self.start()..other.end() - self.start())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.buffer[self.start()..self.end()]
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self { buffer: Arc::new(Box::from(text)), start: 0, end: TO_THE_END }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self { buffer: Arc::new(Box::from(text)), start: 0, end: TO_THE_END }
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.as_str().to_owned()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<String> for Text {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == other
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_share_the_bytes_and_know_their_places() {
        fn check(part: Range<usize>, expected: &str) {
            let source: Buffer = Arc::new(Box::from("FROM a AS b"));
            let text = Text::slice_of(&source, 5..11);
            let cut = text.slice(part.clone());
            assert_eq!(cut, expected);
            assert_eq!(text.place_of(&cut), Some(part));
        }
        check(0..1, "a");
        check(2..6, "AS b");
        check(6..6, "");
    }

    #[test]
    fn a_text_of_its_own_has_no_place_in_another() {
        let one = Text::from("a b");
        assert_eq!(one.place_of(&Text::from("a")), None);
        assert_eq!(one.slice(2..3).place_of(&one), None);
        assert_eq!(one.slice(2..3), "b");
    }
}
