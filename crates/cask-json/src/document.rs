//! A parsed document.

use std::borrow::Cow;
use std::sync::OnceLock;

use crate::path::{push_index, push_key};
use crate::position::Lines;
use crate::{Entries, Kind, Place, Position, Value};

/// A document: its bytes and what they say.
///
/// [`parse`](crate::parse) makes it; [`root`](Self::root) is where reading begins. Values are in
/// one list in the order of the text, so that neither parsing nor dropping recurses.
#[derive(Debug)]
pub struct Document<'a> {
    bytes: &'a [u8],
    /// Never empty.
    nodes: Vec<Node<'a>>,
    lines: OnceLock<Lines>,
}

/// A value or a key in the list of a document.
///
/// What an array or an object holds follows it: the elements, or keys and values in turns.
#[derive(Debug)]
pub(crate) struct Node<'a> {
    /// The offset of the first byte.
    pub(crate) start: u32,
    /// The offset behind the last byte.
    pub(crate) end: u32,
    /// The index of the node that follows after all that is in this one.
    pub(crate) next: u32,
    pub(crate) content: Content<'a>,
}

#[derive(Debug)]
pub(crate) enum Content<'a> {
    Null,
    Boolean(bool),
    Number,
    String(Cow<'a, str>),
    /// How many elements.
    Array(u32),
    /// How many entries.
    Object(u32),
}

impl<'a> Document<'a> {
    pub(crate) fn new(bytes: &'a [u8], nodes: Vec<Node<'a>>) -> Self {
        Self { bytes, nodes, lines: OnceLock::new() }
    }

    /// The value that the document is.
    pub fn root(&self) -> Value<'_> {
        Value::new(self, 0)
    }

    /// The bytes that were parsed.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The place of the innermost value or key that begins at an offset; what is none has the path
    /// of the innermost value around it.
    ///
    /// Takes time in proportion to the number of values.
    pub fn place(&self, offset: usize) -> Place {
        let path = u32::try_from(offset).map(|offset| self.path_to(offset)).unwrap_or_default();
        Place::new(path, Position::of(self.bytes, offset))
    }

    pub(crate) fn node(&self, index: u32) -> &Node<'a> {
        &self.nodes[index as usize]
    }

    /// The position of an offset in the document.
    pub(crate) fn position(&self, offset: u32) -> Position {
        self.lines.get_or_init(|| Lines::of(self.bytes)).position(offset)
    }

    fn path_to(&self, offset: u32) -> String {
        let mut path = String::new();
        let mut value = self.root();
        while value.node().start != offset {
            let inner = match value.kind() {
                Kind::Array(mut items) => {
                    let found = items.position(|item| item.node().holds(offset));
                    found.and_then(|index| {
                        push_index(&mut path, index);
                        value.items().ok()?.nth(index)
                    })
                }
                Kind::Object(entries) => inner_of(entries, offset, &mut path),
                _ => None,
            };
            let Some(inner) = inner else { break };
            value = inner;
        }
        path
    }
}

/// The value of the entry that holds an offset, unless that is the key's own.
fn inner_of<'d>(mut entries: Entries<'d>, offset: u32, path: &mut String) -> Option<Value<'d>> {
    let start = |key: &Node<'_>| key.start;
    let entry = entries.find(|e| (start(e.key_node())..e.value().node().end).contains(&offset))?;
    push_key(path, entry.key());
    (start(entry.key_node()) != offset).then(|| entry.value())
}

impl Node<'_> {
    /// The text of a string, such as a key.
    pub(crate) fn text(&self) -> &str {
        match &self.content {
            Content::String(text) => text,
            other => unreachable!("keys are strings, not {other:?}"),
        }
    }

    fn holds(&self, offset: u32) -> bool {
        (self.start..self.end).contains(&offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Rules, parse};

    #[test]
    fn a_node_takes_no_more_memory_than_the_rules_say() {
        assert!(size_of::<Node<'_>>() <= 40);
    }

    #[test]
    fn places_are_found_by_offset() {
        let text = br#" {"a": [1, {"b": "x", "c d": {}}], "e": null}"#;
        let document = parse(text, Rules::default()).unwrap();
        #[track_caller]
        fn check(document: &Document<'_>, at: &str, expected: &str) {
            let text = str::from_utf8(document.bytes()).unwrap();
            let offset = text.find(at).unwrap();
            assert_eq!(document.place(offset).path(), expected, "{at}");
            assert_eq!(document.place(offset).position().offset, offset);
        }
        check(&document, "{\"a", "");
        check(&document, "\"a\"", "a");
        check(&document, "[1", "a");
        check(&document, "1,", "a[0]");
        check(&document, "{\"b", "a[1]");
        check(&document, "\"b\"", "a[1].b");
        check(&document, "\"x\"", "a[1].b");
        check(&document, "\"c d", "a[1][\"c d\"]");
        check(&document, "{}", "a[1][\"c d\"]");
        check(&document, "null", "e");
        check(&document, " {", "");
        check(&document, ", {", "a");
        assert_eq!(document.place(1 << 40).path(), "");
    }
}
