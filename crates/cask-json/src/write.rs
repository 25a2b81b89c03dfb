//! Writing JSON byte for byte as Go's `encoding/json` does.

use std::collections::BTreeMap;

/// How JSON is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    indent: Option<&'static str>,
    escape_html: bool,
}

impl Style {
    /// One line without white space, as Go's `json.Marshal` writes it.
    pub const fn compact() -> Self {
        Self { indent: None, escape_html: true }
    }

    /// A line for each key and element, with this indent for each level, as Go's
    /// `json.MarshalIndent` writes it: tabs in `auth.json`, for one. No line break at the end.
    pub const fn indented(indent: &'static str) -> Self {
        Self { indent: Some(indent), escape_html: true }
    }

    /// The same, with `<`, `>` and `&` in strings as they are: Go's `SetEscapeHTML(false)`.
    #[must_use]
    pub const fn without_html_escapes(self) -> Self {
        Self { escape_html: false, ..self }
    }
}

impl Default for Style {
    /// Compact.
    fn default() -> Self {
        Self::compact()
    }
}

/// Writes JSON, one value after the other, in a [`Style`].
///
/// The writer puts the punctuation; the caller gives each key a value, keys to objects only, and
/// one value to the whole. What it is given besides is its own: keys are neither sorted nor looked
/// at.
///
/// ```
/// use cask_json::{Style, Writer};
///
/// let mut writer = Writer::new(Style::indented("  "));
/// writer.object(|w| {
///     w.key("name").string("a<b");
///     w.key("sizes").array(|w| w.integer(7));
///     w.key("labels").object(|_| {});
/// });
/// let expected = "{\n  \"name\": \"a\\u003cb\",\n  \"sizes\": [\n    7\n  ],\n  \"labels\": {}\n}";
/// assert_eq!(writer.finish(), expected.as_bytes());
/// ```
///
/// Source: `encoding/json`, `Marshal` and `MarshalIndent`, as of Go 1.22. Older releases wrote the
/// control characters 8 and 12 as `\u0008` and `\u000c`.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
    style: Style,
    depth: usize,
    before: Before,
}

/// What was written last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Before {
    #[default]
    Nothing,
    Opening,
    Key,
    Value,
}

impl Writer {
    /// A writer that has written nothing yet.
    pub fn new(style: Style) -> Self {
        Self { style, ..Self::default() }
    }

    /// What was written.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    fn before_value(&mut self) {
        match self.before {
            Before::Nothing | Before::Key => {}
            Before::Opening => self.new_line(),
            Before::Value => {
                self.out.push(b',');
                self.new_line();
            }
        }
        self.before = Before::Value;
    }

    fn new_line(&mut self) {
        if let Some(indent) = self.style.indent {
            self.out.push(b'\n');
            for _ in 0..self.depth {
                self.out.extend_from_slice(indent.as_bytes());
            }
        }
    }

    fn open(&mut self, bracket: u8) {
        self.before_value();
        self.out.push(bracket);
        self.depth += 1;
        self.before = Before::Opening;
    }

    fn close(&mut self, bracket: u8) {
        self.depth = self.depth.saturating_sub(1);
        if self.before != Before::Opening {
            self.new_line();
        }
        self.out.push(bracket);
        self.before = Before::Value;
    }

    /// Makes the string that was written last a key.
    fn colon(&mut self) {
        self.out.push(b':');
        if self.style.indent.is_some() {
            self.out.push(b' ');
        }
        self.before = Before::Key;
    }

    /// Writes an object of what `content` writes: keys and values.
    pub fn object(&mut self, content: impl FnOnce(&mut Self)) {
        self.open(b'{');
        content(self);
        self.close(b'}');
    }

    /// Writes an array of the values that `content` writes.
    pub fn array(&mut self, content: impl FnOnce(&mut Self)) {
        self.open(b'[');
        content(self);
        self.close(b']');
    }

    /// Writes a key; its value has to follow.
    pub fn key(&mut self, key: &str) -> &mut Self {
        self.string(key);
        self.colon();
        self
    }

    /// Writes `null`.
    pub fn null(&mut self) {
        self.verbatim(b"null");
    }

    /// Writes `true` or `false`.
    pub fn boolean(&mut self, value: bool) {
        self.verbatim(if value { b"true" } else { b"false" });
    }

    /// Writes an integer of any size.
    pub fn integer(&mut self, value: impl Into<i128>) {
        self.verbatim(value.into().to_string().as_bytes());
    }

    /// Writes a string.
    pub fn string(&mut self, text: &str) {
        self.before_value();
        self.out.push(b'"');
        let mut plain = 0;
        for (at, c) in text.char_indices() {
            let short: &[u8] = match c {
                '"' => b"\\\"",
                '\\' => b"\\\\",
                '\n' => b"\\n",
                '\r' => b"\\r",
                '\t' => b"\\t",
                '\u{8}' => b"\\b",
                '\u{c}' => b"\\f",
                '<' | '>' | '&' if !self.style.escape_html => continue,
                '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => b"",
                _ => continue,
            };
            self.out.extend_from_slice(&text.as_bytes()[plain..at]);
            plain = at + c.len_utf8();
            match short {
                b"" => self.out.extend_from_slice(escape(c).as_bytes()),
                _ => self.out.extend_from_slice(short),
            }
        }
        self.out.extend_from_slice(&text.as_bytes()[plain..]);
        self.out.push(b'"');
    }

    /// Writes a value that is JSON already to the byte as it is, its white space included.
    pub fn verbatim(&mut self, json: &[u8]) {
        self.before_value();
        self.out.extend_from_slice(json);
    }

    /// Writes a value that is JSON already in the style's layout, all else as it is: numbers as
    /// they are written, escapes as they are, `<`, `>` and `&` too.
    pub fn copy(&mut self, json: &[u8]) {
        self.lay_out(json, false);
    }

    /// Writes a value that is JSON already as Go does inside of another value: as
    /// [`copy`](Self::copy) does, but `<`, `>`, `&`, U+2028 and U+2029 are escaped unless the
    /// style says otherwise.
    ///
    /// Source: `encoding/json`, what `Marshal` does with a `RawMessage`.
    pub fn raw_message(&mut self, json: &[u8]) {
        self.lay_out(json, self.style.escape_html);
    }

    fn lay_out(&mut self, json: &[u8], escape_html: bool) {
        let mut rest = json;
        while let [byte, behind @ ..] = rest {
            rest = behind;
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' | b',' => {}
                b'{' | b'[' => self.open(*byte),
                b'}' | b']' => self.close(*byte),
                b':' => self.colon(),
                b'"' => {
                    let (text, behind) = rest.split_at(string_length(rest));
                    self.before_value();
                    self.out.push(b'"');
                    self.string_as_it_is(text, escape_html);
                    rest = behind;
                }
                _ => {
                    let ends = |b: &u8| b" \t\n\r,]}:".contains(b);
                    let length = rest.iter().position(ends).unwrap_or(rest.len());
                    self.before_value();
                    self.out.push(*byte);
                    self.out.extend_from_slice(&rest[..length]);
                    rest = &rest[length..];
                }
            }
        }
    }

    /// Writes the inside of a string, escapes included.
    fn string_as_it_is(&mut self, text: &[u8], escape_html: bool) {
        let mut plain = 0;
        while let Some(found) = text[plain..].iter().position(|b| b"<>&\xe2".contains(b)) {
            let at = plain + found;
            // U+2028 and U+2029 in UTF-8.
            let (c, length) = match &text[at..] {
                [0xe2, 0x80, 0xa8, ..] => ('\u{2028}', 3),
                [0xe2, 0x80, 0xa9, ..] => ('\u{2029}', 3),
                [byte, ..] => (char::from(*byte), 1),
                [] => break,
            };
            self.out.extend_from_slice(&text[plain..at]);
            plain = at + length;
            match c {
                '\u{e2}' => self.out.push(0xe2),
                _ if !escape_html => self.out.extend_from_slice(&text[at..plain]),
                _ => self.out.extend_from_slice(escape(c).as_bytes()),
            }
        }
        self.out.extend_from_slice(&text[plain..]);
    }

    /// Writes an array of strings.
    pub fn strings<T: AsRef<str>>(&mut self, items: impl IntoIterator<Item = T>) {
        self.array(|w| items.into_iter().for_each(|item| w.string(item.as_ref())));
    }

    /// Writes a map of strings, sorted by key as Go does it.
    pub fn string_map(&mut self, map: &BTreeMap<String, String>) {
        self.object(|w| map.iter().for_each(|(key, value)| w.key(key).string(value)));
    }

    /// Writes a field unless the text is empty: Go's `omitempty`.
    pub fn text_unless_empty(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.key(key).string(text);
        }
    }

    /// Writes a field unless the list is empty: Go's `omitempty`.
    pub fn strings_unless_empty(&mut self, key: &str, items: &[String]) {
        if !items.is_empty() {
            self.key(key).strings(items);
        }
    }

    /// Writes a field unless the map is empty: Go's `omitempty`.
    pub fn map_unless_empty(&mut self, key: &str, map: &BTreeMap<String, String>) {
        if !map.is_empty() {
            self.key(key).string_map(map);
        }
    }
}

/// The text of a valid JSON value as Go writes an encoded value inside another: without white
/// space, escaped for HTML, all else as it was. See [`Writer::raw_message`].
///
/// Source: `encoding/json`, `compact` with escaping.
pub fn compact(json: &[u8]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.out.reserve(json.len());
    writer.raw_message(json);
    writer.finish()
}

fn escape(c: char) -> String {
    format!("\\u{:04x}", u32::from(c))
}

/// How many bytes a string has whose first quotation mark is gone, the last one included.
fn string_length(bytes: &[u8]) -> usize {
    let mut escaped = false;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn strings_are_escaped_as_go_does() {
        let mut writer = Writer::default();
        writer.string("a\"\\/\n\r\t\u{8}\u{c}\u{1}\u{1f}\u{7f}<>&\u{2028}\u{2029}é😀\u{fffd}");
        let expected = "\"a\\\"\\\\/\\n\\r\\t\\b\\f\\u0001\\u001f\u{7f}\\u003c\\u003e\\u0026\
                        \\u2028\\u2029é😀\u{fffd}\"";
        assert_eq!(text(writer.finish()), expected);
        let mut writer = Writer::new(Style::compact().without_html_escapes());
        writer.string("<>&\u{2028}");
        assert_eq!(text(writer.finish()), "\"<>&\\u2028\"");
    }

    #[test]
    fn commas_stand_between_values_only() {
        let mut writer = Writer::default();
        writer.object(|w| {
            w.key("a").array(|w| {
                w.integer(1u32);
                w.object(|_| {});
                w.null();
            });
            w.key("b").boolean(true);
        });
        assert_eq!(writer.finish(), br#"{"a":[1,{},null],"b":true}"#);
    }

    #[test]
    fn compact_drops_space_and_escapes_html_but_keeps_escapes() {
        let json = "{ \"a b\" :\t[ \"\\\" <\u{2028}\\u00e9\" , 1.50 ] }\n";
        let expected = "{\"a b\":[\"\\\" \\u003c\\u2028\\u00e9\",1.50]}";
        assert_eq!(String::from_utf8(compact(json.as_bytes())).unwrap(), expected);
        let mut writer = Writer::default();
        writer.copy(json.as_bytes());
        let expected = "{\"a b\":[\"\\\" <\u{2028}\\u00e9\",1.50]}";
        assert_eq!(String::from_utf8(writer.finish()).unwrap(), expected);
    }

    #[test]
    fn what_was_json_is_compacted_as_go_does() {
        #[track_caller]
        fn check(json: &str, expected: &str) {
            assert_eq!(text(compact(json.as_bytes())), expected);
        }
        check("{ \"a\" : [ 1 , 2 ],\n\t\"b\": \"c d\" }", r#"{"a":[1,2],"b":"c d"}"#);
        check(r#"{"a":"<&>"}"#, r#"{"a":"\u003c\u0026\u003e"}"#);
        check("{\"\u{2028}\": \"\u{2029}é€\"}", "{\"\\u2028\":\"\\u2029é€\"}");
        check(r#"["a\" b", "c\\" , "d"]"#, r#"["a\" b","c\\","d"]"#);
        check(r#"["\\\" x" , "\/"]"#, r#"["\\\" x","\/"]"#);
        check(" { \"a b\" : [ 1 , \"\\\" <\" ] } ", "{\"a b\":[1,\"\\\" \\u003c\"]}");
        check("\"\\\\\" ", "\"\\\\\"");
        check("1e5", "1e5");
        check(" [ [ ] , { } , [ null ] , true ]", "[[],{},[null],true]");
    }

    #[test]
    fn indented_layout_is_that_of_go() {
        let mut writer = Writer::new(Style::indented("\t"));
        writer.object(|w| {
            w.key("a").raw_message(br#"{"x":[1,{}, []],"y" : "<"}"#);
            w.key("b").copy(b"\"<\"");
            w.key("c").verbatim(b"[ 1 ]");
            w.key("d").array(|w| w.object(|w| w.key("e").null()));
            w.map_unless_empty("f", &BTreeMap::new());
        });
        let expected = "{\n\t\"a\": {\n\t\t\"x\": [\n\t\t\t1,\n\t\t\t{},\n\t\t\t[]\n\t\t],\n\t\t\
                        \"y\": \"\\u003c\"\n\t},\n\t\"b\": \"<\",\n\t\"c\": [ 1 ],\n\t\"d\": [\n\t\t\
                        {\n\t\t\t\"e\": null\n\t\t}\n\t]\n}";
        assert_eq!(text(writer.finish()), expected);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_copied() {
        let mut writer = Writer::default();
        writer.raw_message(b"[ \"\xff\xe2\x80<\" ]");
        assert_eq!(writer.finish(), b"[\"\xff\xe2\x80\\u003c\"]");
    }
}
