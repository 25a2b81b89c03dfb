//! JSON objects that keep what nobody here understands: every field, in its order, as written.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON object as a list of fields whose values are not looked into.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawObject(Vec<(String, Box<RawValue>)>);

impl RawObject {
    /// The value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find_map(|(own, value)| (own == name).then_some(&**value))
    }

    /// Sets a field where it is, or adds it at the end.
    pub(crate) fn set(&mut self, name: &str, value: Box<RawValue>) {
        match self.0.iter_mut().find(|(own, _)| own == name) {
            Some((_, held)) => *held = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// Removes a field. `true` if it was there.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(own, _)| own != name);
        self.0.len() != before
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), &**value))
    }

    /// The object as compact text.
    pub(crate) fn to_raw(&self) -> Box<RawValue> {
        let fields = self.0.iter().map(|(name, value)| (string(name), value.get()));
        raw(object(fields))
    }
}

/// A JSON object of fields that are JSON already.
pub(crate) fn object<'a>(fields: impl Iterator<Item = (String, &'a str)>) -> String {
    let mut text = String::from("{");
    for (name, value) in fields {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&name);
        text.push(':');
        text.push_str(value);
    }
    text.push('}');
    text
}

/// A JSON string.
pub(crate) fn string(text: &str) -> String {
    serde_json::to_string(text).expect("a string is always JSON")
}

/// Marks text as JSON.
pub(crate) fn raw(text: String) -> Box<RawValue> {
    RawValue::from_string(text).expect("the text was put together from JSON values")
}

impl<'de> Deserialize<'de> for RawObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = RawObject;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawObject, A::Error> {
        let mut fields = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
            fields.push((name, value));
        }
        Ok(RawObject(fields))
    }
}

/// Writes JSON as Go does: no white space, and no character that means something in HTML.
///
/// Source: Go's `encoding/json`, `Marshal` with its default of `SetEscapeHTML(true)`.
pub(crate) fn encode_as_go(json: &str) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(json.len());
    let mut in_string = false;
    let mut escaped = false;
    for character in json.chars() {
        match character {
            ' ' | '\t' | '\n' | '\r' if !in_string => continue,
            // Only in strings can these stand at all.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                encoded.extend(format!("\\u{:04x}", u32::from(character)).into_bytes());
                escaped = false;
                continue;
            }
            _ => {}
        }
        in_string ^= character == '"' && !escaped;
        escaped = in_string && character == '\\' && !escaped;
        encoded.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_writes_json_without_spaces_and_html() {
        fn check(json: &str, expected: &str) {
            assert_eq!(String::from_utf8(encode_as_go(json)).unwrap(), expected);
        }
        check("{ \"a\" : [ 1 , 2 ],\n\t\"b\": \"c d\" }", r#"{"a":[1,2],"b":"c d"}"#);
        check(r#"{"a":"<&>"}"#, r#"{"a":"\u003c\u0026\u003e"}"#);
        check("{\"\u{2028}\": \"\u{2029}é\"}", "{\"\\u2028\":\"\\u2029é\"}");
        check(r#"["a\" b", "c\\" , "d"]"#, r#"["a\" b","c\\","d"]"#);
        check(r#"["\\\" x" , "\/"]"#, r#"["\\\" x","\/"]"#);
    }

    #[test]
    fn an_object_keeps_its_fields_and_their_order() {
        let mut object: RawObject =
            serde_json::from_str(r#"{"z": 1.50, "a": {"y":null}, "m": "\u0041"}"#).unwrap();
        assert_eq!(object.to_raw().get(), r#"{"z":1.50,"a":{"y":null},"m":"\u0041"}"#);
        object.set("a", raw("2".into()));
        object.set("new", raw("3".into()));
        assert!(object.remove("z"));
        assert_eq!(object.to_raw().get(), r#"{"a":2,"m":"\u0041","new":3}"#);
    }
}
