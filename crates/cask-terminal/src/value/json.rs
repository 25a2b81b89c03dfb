//! JSON to the byte as Go's `encoding/json` writes it.

use super::model::{Field, Repr, Value};
use crate::go::{Sink, format_float};

/// How JSON is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonStyle {
    /// Spaces for each level of nesting; `None` for one line without any.
    pub(crate) indent: Option<usize>,
    /// Writes `<`, `>` and `&` as `\u003c`, `\u003e` and `\u0026`.
    pub(crate) escape_html: bool,
}

impl JsonStyle {
    /// One line, as Go's `json.Marshal` writes it.
    #[must_use]
    pub const fn compact() -> Self {
        Self { indent: None, escape_html: true }
    }

    /// Indented by four spaces, as `skopeo inspect` and `podman inspect` print.
    #[must_use]
    pub const fn pretty() -> Self {
        Self { indent: Some(4), escape_html: true }
    }

    /// Indented by so many spaces.
    #[must_use]
    pub const fn indented(spaces: usize) -> Self {
        Self { indent: Some(spaces), escape_html: true }
    }

    /// The same, with `<`, `>` and `&` as they are: Go's `SetEscapeHTML(false)`.
    #[must_use]
    pub const fn without_html_escapes(self) -> Self {
        Self { escape_html: false, ..self }
    }
}

/// Writes a value as Go's `encoding/json` does: keys of structs in order, keys of maps sorted,
/// numbers and escapes in Go's form, no newline at the end.
///
/// U+2028 and U+2029 are always escaped, bytes that are no UTF-8 become U+FFFD. Numbers that JSON
/// cannot hold (not a number, infinities) become `null`, where Go would fail.
///
/// Source: `json.Marshal`, `json.MarshalIndent`.
#[must_use]
pub fn to_json(value: &Value, style: JsonStyle) -> String {
    let mut sink = Sink::unlimited();
    push_json(&mut sink, value, style);
    String::from_utf8_lossy(&sink.into_bytes()).into_owned()
}

pub(crate) fn push_json(sink: &mut Sink, value: &Value, style: JsonStyle) {
    Writer { sink, style, depth: 0 }.value(value);
}

struct Writer<'a> {
    sink: &'a mut Sink,
    style: JsonStyle,
    depth: usize,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value) {
        match &value.0 {
            Repr::NoValue | Repr::Nil | Repr::NilList | Repr::NilMap => self.sink.push_str("null"),
            Repr::Bool(value) => self.sink.push_str(if *value { "true" } else { "false" }),
            Repr::Int(value) | Repr::Duration(value) => self.sink.push_str(&value.to_string()),
            Repr::Uint(value) => self.sink.push_str(&value.to_string()),
            Repr::Float(value) => self.sink.push_str(&json_float(*value)),
            Repr::Text(bytes) => self.text(bytes),
            Repr::Time(time) => self.text(time.1.as_bytes()),
            Repr::List(items) => {
                self.container(b"[]", items.iter(), |writer, item| writer.value(item));
            }
            Repr::Map(entries) => {
                // Go sorts by the key as text, which for numbers is not their order.
                let mut entries: Vec<(Vec<u8>, &Value)> =
                    entries.iter().map(|(key, value)| (key_text(key), value)).collect();
                entries.sort_by(|(left, _), (right, _)| left.cmp(right));
                self.container(b"{}", entries.iter(), |writer, (key, value)| {
                    writer.entry(key, value);
                });
            }
            Repr::Struct(record) => {
                let fields = record.fields.iter().filter(|field| is_written(field));
                self.container(b"{}", fields, |writer, field| {
                    writer.entry(field.key.as_bytes(), &field.value);
                });
            }
        }
    }

    fn container<T>(
        &mut self,
        brackets: &[u8; 2],
        items: impl Iterator<Item = T>,
        each: impl Fn(&mut Self, T),
    ) {
        self.sink.push(&brackets[..1]);
        self.depth += 1;
        let mut empty = true;
        for item in items {
            if !empty {
                self.sink.push_str(",");
            }
            empty = false;
            self.new_line();
            each(self, item);
            if self.sink.overflowed() {
                return;
            }
        }
        self.depth -= 1;
        if !empty {
            self.new_line();
        }
        self.sink.push(&brackets[1..]);
    }

    fn entry(&mut self, key: &[u8], value: &Value) {
        self.text(key);
        self.sink.push_str(if self.style.indent.is_some() { ": " } else { ":" });
        self.value(value);
    }

    fn new_line(&mut self) {
        if let Some(indent) = self.style.indent {
            self.sink.push_str("\n");
            self.sink.push_repeated(b' ', self.depth * indent);
        }
    }

    fn text(&mut self, bytes: &[u8]) {
        self.sink.push_str("\"");
        for chunk in bytes.utf8_chunks() {
            for character in chunk.valid().chars() {
                self.character(character);
            }
            for _ in chunk.invalid() {
                self.sink.push_str("\\ufffd");
            }
        }
        self.sink.push_str("\"");
    }

    fn character(&mut self, character: char) {
        match character {
            '"' => self.sink.push_str("\\\""),
            '\\' => self.sink.push_str("\\\\"),
            '\n' => self.sink.push_str("\\n"),
            '\r' => self.sink.push_str("\\r"),
            '\t' => self.sink.push_str("\\t"),
            '<' | '>' | '&' if self.style.escape_html => self.escape(character),
            '\0'..='\x1f' | '\u{2028}' | '\u{2029}' => self.escape(character),
            _ => self.sink.push_char(character),
        }
    }

    fn escape(&mut self, character: char) {
        self.sink.push_str(&format!("\\u{:04x}", u32::from(character)));
    }
}

fn is_written(field: &Field) -> bool {
    // A struct is never empty to Go's encoder, and neither is a time.
    !field.skipped && (field.value.is_true() || !field.omit_empty)
}

fn key_text(key: &Value) -> Vec<u8> {
    match &key.0 {
        Repr::Text(bytes) => bytes.to_vec(),
        _ => key.to_string().into_bytes(),
    }
}

/// Numbers as ECMAScript writes them, which Go's encoder follows.
fn json_float(number: f64) -> String {
    if !number.is_finite() {
        return "null".to_owned();
    }
    let size = number.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return format_float(number, b'f', None);
    }
    let text = format_float(number, b'e', None);
    match text.split_once("e-0") {
        Some((mantissa, digit)) => format!("{mantissa}e-{digit}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_as_go_escapes_it() {
        let check = |text: &[u8], expected: &str| {
            assert_eq!(to_json(&Value::text(text), JsonStyle::compact()), expected);
        };
        check(b"", r#""""#);
        check(b"a\"\\/\n\r\t\x08\x0c\x1f\x7f", "\"a\\\"\\\\/\\n\\r\\t\\u0008\\u000c\\u001f\x7f\"");
        check(b"<a href='x'>&</a>", r#""\u003ca href='x'\u003e\u0026\u003c/a\u003e""#);
        check("é☺\u{2028}\u{2029}".as_bytes(), r#""é☺\u2028\u2029""#);
        check(b"a\xff\xfeb", r#""a\ufffd\ufffdb""#);
        let plain = JsonStyle::compact().without_html_escapes();
        assert_eq!(to_json(&Value::string("<&>\u{2028}"), plain), r#""<&>\u2028""#);
    }

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        let check = |number: f64, expected: &str| {
            assert_eq!(to_json(&Value(Repr::Float(number)), JsonStyle::compact()), expected);
        };
        check(0.0, "0");
        check(-0.0, "-0");
        check(1.0, "1");
        check(1e20, "100000000000000000000");
        check(1e21, "1e+21");
        check(0.000001, "0.000001");
        check(0.0000001, "1e-7");
        check(1.5e-10, "1.5e-10");
        check(f64::NAN, "null");
    }

    #[test]
    fn nesting_is_indented_by_four_spaces() {
        let value = Value::of(&serde_json::json!({
            "b": [], "a": {}, "list": [1, {"x": null}]
        }))
        .unwrap();
        let expected = "{\n    \"a\": {},\n    \"b\": [],\n    \"list\": [\n        1,\n        \
                        {\n            \"x\": null\n        }\n    ]\n}";
        assert_eq!(to_json(&value, JsonStyle::pretty()), expected);
        let compact = r#"{"a":{},"b":[],"list":[1,{"x":null}]}"#;
        assert_eq!(to_json(&value, JsonStyle::compact()), compact);
    }

    #[test]
    fn numeric_keys_are_sorted_as_text() {
        let map = std::collections::BTreeMap::from([(2, "b"), (10, "a")]);
        let value = Value::of(&map).unwrap();
        assert_eq!(to_json(&value, JsonStyle::compact()), r#"{"10":"a","2":"b"}"#);
    }

    #[test]
    fn fields_are_named_and_left_out_as_their_tags_say() {
        #[derive(serde::Serialize)]
        struct Row {
            #[serde(rename = "ID json:Id")]
            id: &'static str,
            #[serde(rename = "Names json:,omitempty")]
            names: Vec<u8>,
            #[serde(rename = "Secret json:-")]
            secret: u8,
            #[serde(rename = "Count json:count,omitempty")]
            count: i32,
        }
        let check = |row: &Row, expected: &str| {
            assert_eq!(to_json(&Value::of(row).unwrap(), JsonStyle::compact()), expected);
        };
        check(&Row { id: "", names: vec![], secret: 1, count: 0 }, r#"{"Id":""}"#);
        check(
            &Row { id: "x", names: vec![1], secret: 1, count: 2 },
            r#"{"Id":"x","Names":[1],"count":2}"#,
        );
    }
}
