//! Writing JSON byte for byte as Go's `encoding/json` does.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Writes JSON without white space.
///
/// Source: `encoding/json`, `Marshal`, as of Go 1.22. Older releases wrote the control characters
/// 8 and 12 as `\u0008` and `\u000c`.
#[derive(Default)]
pub(crate) struct Writer {
    out: String,
    /// Whether a value stands before the next one.
    comma: bool,
}

impl Writer {
    pub(crate) fn finish(self) -> Vec<u8> {
        self.out.into_bytes()
    }

    fn before_value(&mut self) {
        if self.comma {
            self.out.push(',');
        }
        self.comma = true;
    }

    fn nested(&mut self, open: char, close: char, content: impl FnOnce(&mut Self)) {
        self.before_value();
        self.out.push(open);
        self.comma = false;
        content(self);
        self.out.push(close);
        self.comma = true;
    }

    pub(crate) fn object(&mut self, content: impl FnOnce(&mut Self)) {
        self.nested('{', '}', content);
    }

    pub(crate) fn array(&mut self, content: impl FnOnce(&mut Self)) {
        self.nested('[', ']', content);
    }

    pub(crate) fn key(&mut self, key: &str) -> &mut Self {
        self.string(key);
        self.out.push(':');
        self.comma = false;
        self
    }

    pub(crate) fn null(&mut self) {
        self.raw("null");
    }

    pub(crate) fn boolean(&mut self, value: bool) {
        self.raw(if value { "true" } else { "false" });
    }

    pub(crate) fn integer(&mut self, value: impl Into<i128>) {
        self.raw(&value.into().to_string());
    }

    /// Writes a value that is JSON already.
    pub(crate) fn raw(&mut self, json: &str) {
        self.before_value();
        self.out.push_str(json);
    }

    pub(crate) fn string(&mut self, text: &str) {
        self.before_value();
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => self.escape(c),
                _ => self.out.push(c),
            }
        }
        self.out.push('"');
    }

    fn escape(&mut self, c: char) {
        write!(self.out, "\\u{:04x}", u32::from(c)).expect("writing to a string does not fail");
    }

    pub(crate) fn strings<'s>(&mut self, items: impl IntoIterator<Item = &'s String>) {
        self.array(|w| items.into_iter().for_each(|item| w.string(item)));
    }

    /// Writes a map of strings, sorted by key as Go does it.
    pub(crate) fn string_map(&mut self, map: &BTreeMap<String, String>) {
        self.object(|w| map.iter().for_each(|(key, value)| w.key(key).string(value)));
    }

    /// Writes a field unless the text is empty.
    pub(crate) fn text_unless_empty(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.key(key).string(text);
        }
    }

    /// Writes a field unless the list is empty.
    pub(crate) fn strings_unless_empty(&mut self, key: &str, items: &[String]) {
        if !items.is_empty() {
            self.key(key).strings(items);
        }
    }

    /// Writes a field unless the map is empty.
    pub(crate) fn map_unless_empty(&mut self, key: &str, map: &BTreeMap<String, String>) {
        if !map.is_empty() {
            self.key(key).string_map(map);
        }
    }
}

/// The text of a valid JSON value as Go writes an encoded value (`json.RawMessage`) inside
/// another: without white space, escaped for HTML, all else as it was.
///
/// Source: `encoding/json`, `compact` with escaping.
pub(crate) fn compact(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len());
    let mut in_string = false;
    let mut at = 0;
    while let Some(&byte) = json.get(at) {
        at += 1;
        match byte {
            b'<' | b'>' | b'&' => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            // U+2028 and U+2029 in UTF-8.
            0xe2 if json[at..].starts_with(b"\x80\xa8") || json[at..].starts_with(b"\x80\xa9") => {
                out.extend_from_slice(if json[at + 1] == 0xa8 { b"\\u2028" } else { b"\\u2029" });
                at += 2;
            }
            b'\\' if in_string => {
                out.push(byte);
                // An escaped quotation mark does not end the string.
                out.extend(json.get(at));
                at += 1;
            }
            b'"' => {
                in_string = !in_string;
                out.push(byte);
            }
            b' ' | b'\t' | b'\n' | b'\r' if !in_string => {}
            _ => out.push(byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_go_does() {
        let mut writer = Writer::default();
        writer.string("a\"\\/\n\r\t\u{8}\u{c}\u{1}\u{1f}\u{7f}<>&\u{2028}\u{2029}é😀\u{fffd}");
        let expected = "\"a\\\"\\\\/\\n\\r\\t\\b\\f\\u0001\\u001f\u{7f}\\u003c\\u003e\\u0026\
                        \\u2028\\u2029é😀\u{fffd}\"";
        assert_eq!(String::from_utf8(writer.finish()).unwrap(), expected);
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
    }
}
