//! Writing JSON byte for byte as Go's `encoding/json` does.

use std::collections::BTreeMap;

/// Writes JSON without white space.
///
/// Source: `encoding/json`, `Marshal`, as of Go 1.22. Older releases wrote the control characters
/// 8 and 12 as `\u0008` and `\u000c`.
#[derive(Default)]
pub(crate) struct Writer {
    out: Vec<u8>,
    /// Whether a value stands before the next one.
    comma: bool,
}

impl Writer {
    pub(crate) fn finish(self) -> Vec<u8> {
        self.out
    }

    fn before_value(&mut self) {
        if self.comma {
            self.out.push(b',');
        }
        self.comma = true;
    }

    fn nested(&mut self, open: u8, close: u8, content: impl FnOnce(&mut Self)) {
        self.before_value();
        self.out.push(open);
        self.comma = false;
        content(self);
        self.out.push(close);
        self.comma = true;
    }

    pub(crate) fn object(&mut self, content: impl FnOnce(&mut Self)) {
        self.nested(b'{', b'}', content);
    }

    pub(crate) fn array(&mut self, content: impl FnOnce(&mut Self)) {
        self.nested(b'[', b']', content);
    }

    pub(crate) fn key(&mut self, key: &str) -> &mut Self {
        self.string(key);
        self.out.push(b':');
        self.comma = false;
        self
    }

    pub(crate) fn null(&mut self) {
        self.raw(b"null");
    }

    pub(crate) fn boolean(&mut self, value: bool) {
        self.raw(if value { b"true" } else { b"false" });
    }

    pub(crate) fn integer(&mut self, value: impl Into<i128>) {
        self.raw(value.into().to_string().as_bytes());
    }

    /// Writes a value that is JSON already.
    pub(crate) fn raw(&mut self, json: &[u8]) {
        self.before_value();
        self.out.extend_from_slice(json);
    }

    /// Writes a valid JSON value without the white space between its parts.
    pub(crate) fn copy(&mut self, json: &[u8]) {
        self.before_value();
        strip(json, |byte, _| self.out.push(byte));
    }

    pub(crate) fn string(&mut self, text: &str) {
        self.before_value();
        self.out.push(b'"');
        for c in text.chars() {
            let short = match c {
                '"' => b"\\\"",
                '\\' => b"\\\\",
                '\n' => b"\\n",
                '\r' => b"\\r",
                '\t' => b"\\t",
                '\u{8}' => b"\\b",
                '\u{c}' => b"\\f",
                '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    self.out.extend_from_slice(escape(c).as_bytes());
                    continue;
                }
                _ => {
                    self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
            };
            self.out.extend_from_slice(short);
        }
        self.out.push(b'"');
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

fn escape(c: char) -> String {
    format!("\\u{:04x}", u32::from(c))
}

/// The text of a valid JSON value as Go writes an encoded value (`json.RawMessage`) inside
/// another: without white space, escaped for HTML, all else as it was.
///
/// Source: `encoding/json`, `compact` with escaping.
pub(crate) fn compact(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len());
    let mut skip = 0;
    strip(json, |byte, rest| {
        if skip > 0 {
            skip -= 1;
            return;
        }
        match byte {
            b'<' | b'>' | b'&' => out.extend_from_slice(escape(byte.into()).as_bytes()),
            // U+2028 and U+2029 in UTF-8.
            0xe2 if matches!(rest, [0x80, 0xa8 | 0xa9, ..]) => {
                let c = if rest[1] == 0xa8 { '\u{2028}' } else { '\u{2029}' };
                out.extend_from_slice(escape(c).as_bytes());
                skip = 2;
            }
            _ => out.push(byte),
        }
    });
    out
}

/// Gives every byte of a valid JSON value that is not white space between its parts, with the
/// bytes behind it.
fn strip(json: &[u8], mut take: impl FnMut(u8, &[u8])) {
    let mut in_string = false;
    let mut escaped = false;
    for (at, &byte) in json.iter().enumerate() {
        if !in_string && matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            continue;
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            _ => {}
        }
        take(byte, &json[at + 1..]);
    }
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
        let mut writer = Writer::default();
        writer.copy(json.as_bytes());
        let expected = "{\"a b\":[\"\\\" <\u{2028}\\u00e9\",1.50]}";
        assert_eq!(String::from_utf8(writer.finish()).unwrap(), expected);
    }
}
