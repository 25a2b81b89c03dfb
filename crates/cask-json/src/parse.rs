//! The parser: RFC 8259, no more.

use crate::document::{Content, Node};
use crate::path::{push_index, push_key};
use crate::scan::{Scanned, Scanner, Stop};
use crate::syntax::Expected;
use crate::{Document, Duplicates, Error, ErrorKind, Place, Position, Rules, Words, quoted};

/// Parses a document.
///
/// Strict: no byte order mark, no comments, no trailing commas, nothing behind the document. Takes
/// time in proportion to the number of bytes, but for sorting the keys of each object, and memory
/// as [`Rules::max_values`] says.
///
/// # Errors
/// - `TooLarge`, `TooComplex`: more than the rules allow.
/// - `Syntax`: not JSON, or text that is not Unicode where the rules refuse it.
/// - `DuplicateKey`: a key twice in one object, where the rules refuse it.
///
/// Source: RFC 8259; RFC 3629 for what is UTF-8.
pub fn parse(bytes: &[u8], rules: Rules) -> Result<Document<'_>, Error> {
    if bytes.len() as u64 > rules.max_bytes.min(u64::from(u32::MAX)) {
        let detail = format!("exceeded maximum allowed size of {} bytes", rules.max_bytes);
        let place = Place::new(String::new(), Position::of(bytes, 0));
        return Err(Error::new(ErrorKind::TooLarge, place, detail));
    }
    let scanner = Scanner { bytes, at: 0, rules };
    let mut parser =
        Parser { scanner, nodes: Vec::new(), frames: Vec::new(), in_child: false, values: 0 };
    match parser.document() {
        Ok(()) => Ok(Document::new(bytes, parser.nodes)),
        Err(stop) => Err(parser.error(*stop)),
    }
}

struct Parser<'a> {
    scanner: Scanner<'a>,
    nodes: Vec<Node<'a>>,
    /// The arrays and objects that are not at their end yet, the outermost first.
    frames: Vec<Frame>,
    /// Whether the parser is at an element or value of the innermost frame, rather than between.
    in_child: bool,
    values: usize,
}

/// An array or object that is not at its end yet.
struct Frame {
    /// The index of its node.
    node: u32,
    /// The index of the last key's node, in an object.
    key: u32,
    /// How many elements or entries were completed.
    count: u32,
    close: u8,
}

impl<'a> Parser<'a> {
    fn document(&mut self) -> Scanned<()> {
        if self.scanner.bytes.starts_with(b"\xef\xbb\xbf") {
            return Err(self.scanner.unexpected(Expected::NoMark));
        }
        self.scanner.space();
        let mut complete = self.value()?;
        while !self.frames.is_empty() {
            complete = if complete { self.after_value()? } else { self.value()? };
        }
        self.scanner.space();
        match self.scanner.peek() {
            None => Ok(()),
            Some(_) => Err(self.scanner.unexpected(Expected::End)),
        }
    }

    /// Reads a value, or begins one that holds others. Returns whether it is complete.
    fn value(&mut self) -> Scanned<bool> {
        self.in_child = true;
        let (start, max_values) = (self.scanner.at, self.scanner.rules.max_values);
        self.values += 1;
        if self.values > max_values {
            let detail = format!("more than {max_values} values");
            return Err(self.scanner.stop(ErrorKind::TooComplex, start, detail));
        }
        let content = match self.scanner.peek() {
            Some(b'{') => return self.begin(Content::Object(0), b'}'),
            Some(b'[') => return self.begin(Content::Array(0), b']'),
            _ => self.scanner.scalar()?,
        };
        self.push(start, content);
        self.value_ends();
        Ok(true)
    }

    fn begin(&mut self, content: Content<'a>, close: u8) -> Scanned<bool> {
        if self.frames.len() >= self.scanner.rules.max_depth {
            return Err(self.too_deep());
        }
        let node = self.push(self.scanner.at, content);
        self.frames.push(Frame { node, key: node, count: 0, close });
        self.in_child = false;
        self.scanner.at += 1;
        self.scanner.space();
        if self.scanner.eat(close) {
            self.end()?;
            return Ok(true);
        }
        self.before_child()?;
        Ok(false)
    }

    /// Passes what follows a value that is complete: the end of what it is in, or a comma.
    /// Returns whether that is complete as well.
    fn after_value(&mut self) -> Scanned<bool> {
        self.scanner.space();
        let close = self.frames.last().expect("the value is in something").close;
        if self.scanner.eat(close) {
            self.end()?;
            return Ok(true);
        }
        if !self.scanner.eat(b',') {
            let expected = if close == b'}' { Expected::Entry } else { Expected::Item };
            return Err(self.scanner.unexpected(expected));
        }
        self.scanner.space();
        self.before_child()?;
        Ok(false)
    }

    /// Passes the key and the colon before a value, in an object.
    fn before_child(&mut self) -> Scanned<()> {
        if self.frames.last().is_some_and(|frame| frame.close == b']') {
            return Ok(());
        }
        if self.scanner.peek() != Some(b'"') {
            return Err(self.scanner.unexpected(Expected::Key));
        }
        let start = self.scanner.at;
        let key = self.scanner.string()?;
        let key = self.push(start, Content::String(key));
        self.frames.last_mut().expect("the key is in an object").key = key;
        self.scanner.space();
        if !self.scanner.eat(b':') {
            return Err(self.scanner.unexpected(Expected::Colon));
        }
        self.scanner.space();
        Ok(())
    }

    /// Completes the innermost frame.
    fn end(&mut self) -> Scanned<()> {
        let Frame { node, count, close, .. } = *self.frames.last().expect("something ends");
        let is_object = close == b'}';
        if is_object && self.scanner.rules.duplicates == Duplicates::Refuse {
            self.refuse_duplicates(node)?;
        }
        self.frames.pop();
        let next = index(self.nodes.len());
        let node = &mut self.nodes[node as usize];
        node.content = if is_object { Content::Object(count) } else { Content::Array(count) };
        (node.end, node.next) = (index(self.scanner.at), next);
        self.value_ends();
        Ok(())
    }

    /// Counts a value that is complete.
    fn value_ends(&mut self) {
        self.in_child = false;
        if let Some(frame) = self.frames.last_mut() {
            frame.count += 1;
        }
    }

    fn refuse_duplicates(&mut self, object: u32) -> Scanned<()> {
        let mut keys: Vec<(&str, u32)> = self.keys(object).collect();
        keys.sort_unstable();
        let second = keys.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| pair[1].1);
        let Some(second) = second.min() else { return Ok(()) };
        let key = &self.nodes[second as usize];
        let detail = format!("the key {} occurs more than once", quoted(key.text()));
        let stop = self.scanner.stop(ErrorKind::DuplicateKey, key.start as usize, detail);
        // The path leads to that key rather than to the last one.
        self.frames.last_mut().expect("an object ends").key = second;
        self.in_child = true;
        Err(stop)
    }

    /// The keys of an object that is about to end, with the indexes of their nodes.
    fn keys(&self, object: u32) -> impl Iterator<Item = (&str, u32)> {
        let mut at = object + 1;
        std::iter::from_fn(move || {
            let (index, key) = (at, self.nodes.get(at as usize)?);
            at = self.nodes[index as usize + 1].next;
            Some((key.text(), index))
        })
    }

    fn too_deep(&self) -> Box<Stop> {
        let max = self.scanner.rules.max_depth;
        let detail = match self.scanner.rules.words {
            Words::Plain => format!("nested more than {max} levels deep"),
            Words::Go => format!("exceeded max depth of {max} nested values"),
        };
        self.scanner.stop(ErrorKind::TooComplex, self.scanner.at, detail)
    }

    fn push(&mut self, start: usize, content: Content<'a>) -> u32 {
        let node = index(self.nodes.len());
        let (start, end) = (index(start), index(self.scanner.at));
        self.nodes.push(Node { start, end, next: node + 1, content });
        node
    }

    fn error(&self, stop: Stop) -> Error {
        let position = Position::of(self.scanner.bytes, stop.at);
        Error::new(stop.kind, Place::new(self.path(), position), stop.detail)
    }

    /// The path to where the parser is.
    fn path(&self) -> String {
        let mut path = String::new();
        let between = usize::from(!self.in_child).min(self.frames.len());
        for frame in &self.frames[..self.frames.len() - between] {
            match frame.close {
                b']' => push_index(&mut path, frame.count as usize),
                _ => push_key(&mut path, self.nodes[frame.key as usize].text()),
            }
        }
        path
    }
}

fn index(at: usize) -> u32 {
    u32::try_from(at).expect("the length was checked")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &[u8], rules: Rules, kind: ErrorKind, path: &str, at: usize, detail: &str) {
        let shown = String::from_utf8_lossy(text);
        let error = parse(text, rules).expect_err(&shown);
        assert_eq!((error.kind(), error.path(), error.detail()), (kind, path, detail), "{shown}");
        assert_eq!(error.position(), Position::of(text, at), "{shown}");
    }

    /// The path, offset and words of an error.
    type Found = (&'static str, usize, &'static str);

    /// Documents that are not JSON, and their errors in our words and in Go's.
    const MALFORMED: &[(&[u8], Found, Found)] = &[
        (b"", ("", 0, "unexpected end: expected a value"), ("", 0, "unexpected end of JSON input")),
        (
            b"\xef\xbb\xbf{}",
            ("", 0, "JSON does not start with a byte order mark"),
            ("", 0, "invalid character 'ï' looking for beginning of value"),
        ),
        (
            b"[1,\n  2\n 3]",
            ("", 9, "expected a comma or the end of the array"),
            ("", 9, "invalid character '3' after array element"),
        ),
        (
            b"{\"a\"\n:1,}",
            ("", 8, "expected a key in quotation marks"),
            ("", 8, "invalid character '}' looking for beginning of object key string"),
        ),
        (
            b"{\"a\" 1}",
            ("", 5, "expected a colon after the key"),
            ("", 5, "invalid character '1' after object key"),
        ),
        (
            b"{\"a\":1 \"b\"",
            ("", 7, "expected a comma or the end of the object"),
            ("", 7, "invalid character '\"' after object key:value pair"),
        ),
        (
            b"{\"a\":[0,]}",
            ("a[1]", 8, "expected a value"),
            ("a[1]", 8, "invalid character ']' looking for beginning of value"),
        ),
        (
            b"1 2",
            ("", 2, "unexpected text after the end of the document"),
            ("", 2, "invalid character '2' after top-level value"),
        ),
        (
            b"[tru]",
            ("[0]", 1, "expected a value"),
            ("[0]", 4, "invalid character ']' in literal true (expecting 'e')"),
        ),
        (b"nul", ("", 0, "expected a value"), ("", 3, "unexpected end of JSON input")),
        (
            br#"{"a":[1,{"b":01}]}"#,
            ("a[1].b", 15, "this is not a number"),
            ("a[1]", 14, "invalid character '1' after object key:value pair"),
        ),
        (
            b"-",
            ("", 1, "unexpected end: this is not a number"),
            ("", 1, "unexpected end of JSON input"),
        ),
        (
            b"-x",
            ("", 1, "this is not a number"),
            ("", 1, "invalid character 'x' in numeric literal"),
        ),
        (
            b"[1.e]",
            ("[0]", 3, "expected a digit after the decimal point"),
            ("[0]", 3, "invalid character 'e' after decimal point in numeric literal"),
        ),
        (
            b"[1e+]",
            ("[0]", 4, "expected a digit in the exponent"),
            ("[0]", 4, "invalid character ']' in exponent of numeric literal"),
        ),
        (
            b"\"a",
            ("", 2, "unexpected end: the string does not end"),
            ("", 2, "unexpected end of JSON input"),
        ),
        (
            b"\"a\nb\"",
            ("", 2, "control characters in strings must be escaped"),
            ("", 2, "invalid character '\\n' in string literal"),
        ),
        (
            br#"["\q"]"#,
            ("[0]", 2, "there is no such escape"),
            ("[0]", 3, "invalid character 'q' in string escape code"),
        ),
        (
            br#"["\u00g0"]"#,
            ("[0]", 2, "\\u needs four hexadecimal digits"),
            ("[0]", 6, "invalid character 'g' in \\u hexadecimal character escape"),
        ),
        (
            br#"["\ud800"]"#,
            ("[0]", 2, "a surrogate without its partner"),
            ("[0]", 2, "lone surrogate in string literal"),
        ),
        (
            br#"["\udc00"]"#,
            ("[0]", 2, "a surrogate without its partner"),
            ("[0]", 2, "lone surrogate in string literal"),
        ),
        (
            br#"["\ud800\u0041"]"#,
            ("[0]", 2, "a surrogate without its partner"),
            ("[0]", 2, "lone surrogate in string literal"),
        ),
        (
            br#"["\ud800\u004"]"#,
            ("[0]", 2, "a surrogate without its partner"),
            ("[0]", 13, "invalid character '\"' in \\u hexadecimal character escape"),
        ),
        (b"[\n\"\xff\"]", ("[0]", 3, "the text is not UTF-8"), ("[0]", 3, "invalid UTF-8")),
    ];

    #[test]
    fn what_is_not_json_is_refused_with_place_in_both_words() {
        for (text, (path, at, detail), go) in MALFORMED {
            check(text, Rules::default(), ErrorKind::Syntax, path, *at, detail);
            check(text, Rules::default().in_go_words(), ErrorKind::Syntax, go.0, go.1, go.2);
        }
    }

    #[test]
    fn limits_are_kept() {
        let nested = |depth: usize| [b"[".repeat(depth), b"]".repeat(depth)].concat();
        let rules = Rules::new(100).with_max_depth(3).with_max_values(4);
        assert!(parse(&nested(3), rules).is_ok());
        let (kind, detail) = (ErrorKind::TooComplex, "nested more than 3 levels deep");
        check(&nested(4), rules, kind, "[0][0][0]", 3, detail);
        let detail = "exceeded max depth of 3 nested values";
        check(&nested(4), rules.in_go_words(), kind, "[0][0][0]", 3, detail);
        assert!(parse(b"{\"a\":[1,2]}", rules).is_ok());
        check(b"{\"a\":[1,2,3]}", rules, kind, "a[2]", 10, "more than 4 values");
        assert!(parse(&b" 1".repeat(50)[1..], rules).is_err_and(|e| e.kind() == ErrorKind::Syntax));
        let detail = "exceeded maximum allowed size of 100 bytes";
        check(&b" ".repeat(101), rules, ErrorKind::TooLarge, "", 0, detail);
        assert!(parse(&nested(500_000), Rules::default().with_max_depth(usize::MAX)).is_err());
        let boundless = Rules::default().with_max_depth(usize::MAX).with_max_values(usize::MAX);
        assert!(parse(&nested(500_000), boundless).is_ok());
    }

    #[test]
    fn duplicates_are_found_unless_they_are_kept() {
        #[track_caller]
        fn refused(text: &str, path: &str, at: usize) {
            let error = parse(text.as_bytes(), Rules::default()).unwrap_err();
            let found = (error.kind(), error.path(), error.position().offset);
            assert_eq!(found, (ErrorKind::DuplicateKey, path, at), "{text}: {error}");
            assert!(parse(text.as_bytes(), Rules::default().keeping_duplicates()).is_ok());
        }
        refused(r#"{"a":1,"b":2,"a":3}"#, "a", 13);
        refused(r#"{"b":1,"a":[{}],"\u0061":2,"b":3}"#, "a", 16);
        refused(r#"[0,{"x":{"a":{},"a":{}}}]"#, "[1].x.a", 16);
        // The inner object ends first.
        refused(r#"{"a":1,"a":{"b":1,"b":2}}"#, "a.b", 18);
        assert!(parse(br#"{"a":1,"A":2,"b":{"a":3}}"#, Rules::default()).is_ok());
    }

    #[test]
    fn bad_text_is_replaced_where_the_rules_say_so() {
        #[track_caller]
        fn check(text: &[u8], expected: &str) {
            let document = parse(text, Rules::default().replacing_bad_text()).unwrap();
            assert_eq!(document.root().as_str(), Ok(expected));
        }
        check(b"\"a\xffb\xe2\x82c\"", "a\u{fffd}b\u{fffd}\u{fffd}c");
        check(br#""\ud800x\udc00\ud800\ud83d\ude00""#, "\u{fffd}x\u{fffd}\u{fffd}😀");
        check(br#""\ud800\n""#, "\u{fffd}\n");
    }
}
