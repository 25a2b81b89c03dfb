//! Values of a document, and where they stand.

use std::fmt;
use std::iter::FusedIterator;
use std::ops::Range;

use crate::document::{Content, Node};
use crate::{Document, Error, ErrorKind, Place, Position};

/// One value of a [`Document`], with where it stands: a handle that is cheap to copy.
#[derive(Clone, Copy)]
pub struct Value<'d> {
    document: &'d Document<'d>,
    index: u32,
}

/// What a value is.
#[derive(Clone, Debug)]
pub enum Kind<'d> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// The number as it is written: no limit of any type of number is laid on it.
    Number(&'d str),
    /// The text, without quotation marks and escapes.
    String(&'d str),
    /// The elements.
    Array(Items<'d>),
    /// The keys and values, in the document's order.
    Object(Entries<'d>),
}

/// A key of an object and its value.
#[derive(Clone, Copy)]
pub struct Entry<'d> {
    document: &'d Document<'d>,
    /// The key's; the value follows it.
    index: u32,
}

/// The elements of an array, in their order.
#[derive(Clone)]
pub struct Items<'d>(Children<'d>);

/// The entries of an object, in the document's order.
#[derive(Clone)]
pub struct Entries<'d>(Children<'d>);

/// The nodes directly below one.
#[derive(Clone)]
struct Children<'d> {
    document: &'d Document<'d>,
    next: u32,
    left: u32,
}

impl<'d> Value<'d> {
    pub(crate) fn new(document: &'d Document<'_>, index: u32) -> Self {
        Self { document, index }
    }

    pub(crate) fn node(self) -> &'d Node<'d> {
        self.document.node(self.index)
    }

    /// What the value is.
    pub fn kind(self) -> Kind<'d> {
        match &self.node().content {
            Content::Null => Kind::Null,
            Content::Boolean(value) => Kind::Boolean(*value),
            Content::Number => {
                Kind::Number(str::from_utf8(self.text()).expect("a number is written in ASCII"))
            }
            Content::String(text) => Kind::String(text),
            Content::Array(count) => Kind::Array(Items(self.children(*count))),
            Content::Object(count) => Kind::Object(Entries(self.children(*count))),
        }
    }

    fn children(self, left: u32) -> Children<'d> {
        Children { document: self.document, next: self.index + 1, left }
    }

    /// Whether the value is `null`.
    pub fn is_null(self) -> bool {
        matches!(self.node().content, Content::Null)
    }

    /// What the value is, for a message: `a string`.
    pub fn type_name(self) -> &'static str {
        match self.node().content {
            Content::Null => "null",
            Content::Boolean(_) => "a boolean",
            Content::Number => "a number",
            Content::String(_) => "a string",
            Content::Array(_) => "an array",
            Content::Object(_) => "an object",
        }
    }

    /// What the value is, as Go's `encoding/json` calls it: `null`, `bool`, `number`, `string`,
    /// `array` or `object`.
    pub fn go_type_name(self) -> &'static str {
        match self.node().content {
            Content::Null => "null",
            Content::Boolean(_) => "bool",
            Content::Number => "number",
            Content::String(_) => "string",
            Content::Array(_) => "array",
            Content::Object(_) => "object",
        }
    }

    /// The value as it is written.
    pub fn text(self) -> &'d [u8] {
        &self.document.bytes()[self.span()]
    }

    /// The offsets of the first byte and behind the last one.
    pub fn span(self) -> Range<usize> {
        self.node().start as usize..self.node().end as usize
    }

    /// Where the value begins. Asking for many takes little more time than for one.
    pub fn position(self) -> Position {
        self.document.position(self.node().start)
    }

    /// The path to the value, and where it begins. For errors: takes time in proportion to the
    /// size of the document.
    pub fn place(self) -> Place {
        self.document.place(self.span().start)
    }

    /// An error about this value; `detail` is a lowercase fragment.
    pub fn error(self, kind: ErrorKind, detail: impl Into<String>) -> Error {
        Error::new(kind, self.place(), detail)
    }

    /// The error that the value is not of the type that it has to be: `a list of names`.
    pub fn wrong_type(self, expected: &str) -> Error {
        let detail = format!("expected {expected}, found {}", self.type_name());
        self.error(ErrorKind::WrongType, detail)
    }
}

/// Prints the value as it is written.
impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.text()))
    }
}

impl<'d> Entry<'d> {
    pub(crate) fn key_node(self) -> &'d Node<'d> {
        self.document.node(self.index)
    }

    /// The key, without quotation marks and escapes.
    pub fn key(self) -> &'d str {
        self.key_node().text()
    }

    /// The value.
    pub fn value(self) -> Value<'d> {
        Value { document: self.document, index: self.index + 1 }
    }

    /// The key as it is written, quotation marks included.
    pub fn key_text(self) -> &'d [u8] {
        let Node { start, end, .. } = self.key_node();
        &self.document.bytes()[*start as usize..*end as usize]
    }

    /// Where the key begins. Asking for many takes little more time than for one.
    pub fn key_position(self) -> Position {
        self.document.position(self.key_node().start)
    }

    /// The path to the entry, and where its key begins. For errors: takes time in proportion to
    /// the size of the document.
    pub fn key_place(self) -> Place {
        self.document.place(self.key_node().start as usize)
    }
}

/// Prints the entry as it is written.
impl fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {:?}", self.key(), self.value())
    }
}

impl Children<'_> {
    /// The index of the next child; `entry`: of its key.
    fn advance(&mut self, entry: bool) -> Option<u32> {
        self.left = self.left.checked_sub(1)?;
        let index = self.next;
        self.next = self.document.node(index + u32::from(entry)).next;
        Some(index)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl<'d> Items<'d> {
    /// No elements.
    pub(crate) fn empty(of: Value<'d>) -> Self {
        Self(of.children(0))
    }
}

impl<'d> Iterator for Items<'d> {
    type Item = Value<'d>;

    fn next(&mut self) -> Option<Value<'d>> {
        let document = self.0.document;
        self.0.advance(false).map(|index| Value { document, index })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Items<'_> {}
impl FusedIterator for Items<'_> {}

impl fmt::Debug for Items<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl<'d> Iterator for Entries<'d> {
    type Item = Entry<'d>;

    fn next(&mut self) -> Option<Entry<'d>> {
        let document = self.0.document;
        self.0.advance(true).map(|index| Entry { document, index })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Entries<'_> {}
impl FusedIterator for Entries<'_> {}

impl fmt::Debug for Entries<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.clone().map(|entry| (entry.key(), entry.value()))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Rules, parse};

    /// Prints a tree in a form of its own, keys in order and repeated.
    fn print(value: Value<'_>) -> String {
        match value.kind() {
            Kind::String(text) => format!("{text:?}"),
            Kind::Array(items) => format!("[{}]", items.map(print).collect::<Vec<_>>().join(",")),
            Kind::Object(entries) => {
                let print = |e: Entry<'_>| format!("{:?}:{}", e.key(), print(e.value()));
                format!("{{{}}}", entries.map(print).collect::<Vec<_>>().join(","))
            }
            _ => value.go_type_name().into(),
        }
    }

    #[test]
    fn valid_documents_are_read() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            let rules = Rules::default().keeping_duplicates();
            assert_eq!(print(parse(text.as_bytes(), rules).unwrap().root()), expected);
        }
        check(" null\n", "null");
        check("[true,false,[],{}]", "[bool,bool,[],{}]");
        check(
            "[0,-0,12,1.5,-1.5e10,1E+2,0e-0]",
            "[number,number,number,number,number,number,number]",
        );
        check(r#"{"a":1,"a":"b","\u0061":null}"#, r#"{"a":number,"a":"b","a":null}"#);
        check(r#""é\u00e9\ud83d\ude00\/\\\"\b\f\n\r\t""#, r#""éé😀/\\\"\u{8}\u{c}\n\r\t""#);
        check(r#"[[[1],[]],{"a":{"b":[{}]}},2]"#, r#"[[[number],[]],{"a":{"b":[{}]}},number]"#);
    }

    #[test]
    fn values_know_their_text_and_position() {
        let text = b"{\n  \"a\": [1.50,\n \"\\u0041\"]}";
        let document = parse(text, Rules::default()).unwrap();
        let Kind::Object(mut entries) = document.root().kind() else { panic!("an object") };
        assert_eq!(entries.len(), 1);
        let entry = entries.next().unwrap();
        assert_eq!((entry.key_position().line, entry.key_position().column), (2, 3));
        assert_eq!((entry.key_place().path(), entry.key_text()), ("a", &b"\"a\""[..]));
        assert!(entries.next().is_none() && entries.next().is_none());
        let items: Vec<_> = entry.value().items().unwrap().collect();
        assert_eq!(items[0].text(), b"1.50");
        assert!(matches!(items[0].kind(), Kind::Number("1.50")));
        assert_eq!(items[1].span(), 17..25);
        assert_eq!((items[1].position().line, items[1].position().column), (3, 2));
        assert_eq!(items[1].place().path(), "a[1]");
        assert_eq!(
            items[1].wrong_type("a number").to_string(),
            "a[1]: expected a number, found a string (line 3, column 2)"
        );
    }

    #[test]
    fn values_outlive_their_handles() {
        fn first<'d>(document: &'d Document<'_>) -> &'d str {
            document.root().items().unwrap().next().unwrap().as_str().unwrap()
        }
        let document = parse(b"[\"x\"]", Rules::default()).unwrap();
        assert_eq!(first(&document), "x");
    }
}
