//! Values of fields, read and written as Go's `encoding/json` does.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use cask_image::{Digest, Timestamp};
use serde::Deserialize;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::Id;

/// A text, borrowed where it holds no escapes.
pub(crate) struct Key<'de>(pub(crate) Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// The value of a field.
pub(crate) trait GoValue: Sized {
    /// The empty value.
    fn unset() -> Self;
    /// Reads it; `null` is the empty value.
    fn read<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Self, A::Error>;
    /// Whether Go's `omitempty` leaves it out.
    fn is_empty(&self) -> bool;
    /// Writes it as JSON.
    fn write(&self, out: &mut String);
}

/// Writes a text with the escapes of Go's `json.Marshal`.
///
/// Source: Go's `encoding/json`, `appendString` with `escapeHTML`.
pub(crate) fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\0'..='\x1f' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                write!(out, "\\u{:04x}", u32::from(c)).expect("a string takes everything");
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

fn read_parsed<'de, A, T>(map: &mut A) -> Result<Option<T>, A::Error>
where
    A: MapAccess<'de>,
    T: FromStr,
    T::Err: fmt::Display,
{
    match map.next_value::<Option<Key<'_>>>()? {
        None => Ok(None),
        Some(Key(text)) if text.is_empty() => Ok(None),
        Some(Key(text)) => T::from_str(&text).map(Some).map_err(A::Error::custom),
    }
}

impl FromStr for Id {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self, crate::Error> {
        Self::parse(text)
    }
}

/// An ID as a record has it: whoever calls the Go library chooses what it is.
struct RecordedId(Id);

impl FromStr for RecordedId {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self, crate::Error> {
        Id::recorded(text).map(Self)
    }
}

fn read_id<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Id>, A::Error> {
    Ok(read_parsed::<_, RecordedId>(map)?.map(|RecordedId(id)| id))
}

impl GoValue for String {
    fn unset() -> Self {
        Self::default()
    }

    fn read<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Self, A::Error> {
        Ok(map
            .next_value::<Option<Key<'_>>>()?
            .map(|Key(text)| text.into_owned())
            .unwrap_or_default())
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn write(&self, out: &mut String) {
        write_text(self, out);
    }
}

impl GoValue for Id {
    fn unset() -> Self {
        Self::unset()
    }

    fn read<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Self, A::Error> {
        read_id(map)?.ok_or_else(|| A::Error::custom("an empty ID"))
    }

    fn is_empty(&self) -> bool {
        false
    }

    fn write(&self, out: &mut String) {
        write_text(self.as_str(), out);
    }
}

impl GoValue for Option<Id> {
    fn unset() -> Self {
        Self::default()
    }

    fn read<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Self, A::Error> {
        read_id(map)
    }

    fn is_empty(&self) -> bool {
        self.is_none()
    }

    fn write(&self, out: &mut String) {
        write_text(self.as_ref().map_or("", Id::as_str), out);
    }
}

impl GoValue for Option<Digest> {
    fn unset() -> Self {
        Self::default()
    }

    fn read<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Self, A::Error> {
        read_parsed(map)
    }

    fn is_empty(&self) -> bool {
        self.is_none()
    }

    fn write(&self, out: &mut String) {
        write_text(self.as_ref().map_or("", Digest::as_str), out);
    }
}

impl GoValue for Option<Timestamp> {
    fn unset() -> Self {
        Self::default()
    }

    fn read<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Self, A::Error> {
        Ok(read_parsed::<_, Timestamp>(map)?.filter(|time| !time.is_go_zero()))
    }

    fn is_empty(&self) -> bool {
        // Go's omitempty does not know an empty structure.
        false
    }

    fn write(&self, out: &mut String) {
        write!(out, "\"{}\"", self.unwrap_or(Timestamp::GO_ZERO))
            .expect("a string takes everything");
    }
}

macro_rules! numbers {
    ($($type:ty),*) => { $(
        impl GoValue for $type {
            fn unset() -> Self {
                Self::default()
            }

            fn read<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Self, A::Error> {
                Ok(map.next_value::<Option<Self>>()?.unwrap_or_default())
            }

            fn is_empty(&self) -> bool {
                *self == 0
            }

            fn write(&self, out: &mut String) {
                write!(out, "{self}").expect("a string takes everything");
            }
        }
    )* };
}
numbers!(i64, u32);

fn write_list<T>(items: &[T], out: &mut String, write: impl Fn(&T, &mut String)) {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(']');
}

macro_rules! lists {
    ($($item:ty: $write:expr;)*) => { $(
        impl GoValue for Vec<$item> {
            fn unset() -> Self {
                Self::default()
            }

            fn read<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Self, A::Error> {
                Ok(map.next_value::<Option<Self>>()?.unwrap_or_default())
            }

            fn is_empty(&self) -> bool {
                self.is_empty()
            }

            fn write(&self, out: &mut String) {
                write_list(self, out, $write);
            }
        }
    )* };
}
lists! {
    String: |text, out| write_text(text, out);
    u32: GoValue::write;
    IdMap: |map, out| {
        let IdMap { container_id, host_id, size } = map;
        write!(out, "{{\"container_id\":{container_id},\"host_id\":{host_id},\"size\":{size}}}")
            .expect("a string takes everything");
    };
}

/// A range of user or group IDs as seen inside, and what it is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
pub struct IdMap {
    /// The first ID inside.
    pub container_id: u32,
    /// The first ID on the disk.
    pub host_id: u32,
    /// How many IDs follow one another.
    pub size: u32,
}

fn write_map<T>(map: &BTreeMap<String, T>, out: &mut String, write: impl Fn(&T, &mut String)) {
    out.push('{');
    for (index, (key, value)) in map.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_text(key, out);
        out.push(':');
        write(value, out);
    }
    out.push('}');
}

impl GoValue for BTreeMap<String, i64> {
    fn unset() -> Self {
        Self::default()
    }

    fn read<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Self, A::Error> {
        Ok(map.next_value::<Option<Self>>()?.unwrap_or_default())
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn write(&self, out: &mut String) {
        write_map(self, out, GoValue::write);
    }
}

impl GoValue for BTreeMap<String, Digest> {
    fn unset() -> Self {
        Self::default()
    }

    fn read<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Self, A::Error> {
        let texts = map.next_value::<Option<BTreeMap<String, String>>>()?.unwrap_or_default();
        let digests = texts.into_iter().filter(|(_, text)| !text.is_empty());
        digests.map(|(key, text)| Ok((key, text.parse().map_err(A::Error::custom)?))).collect()
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn write(&self, out: &mut String) {
        write_map(self, out, |digest, out| write_text(digest.as_str(), out));
    }
}

/// Flags of a record: names with JSON values of any kind.
///
/// Values that this crate does not set itself are written as they were read.
#[derive(Clone, Debug, Default)]
pub struct Flags(BTreeMap<String, Box<RawValue>>);

impl Flags {
    /// Whether a flag is `true`.
    pub fn is_set(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| value.get() == "true")
    }

    /// A flag's value as JSON.
    pub fn json(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.get())
    }

    /// The text of a flag that is a string.
    pub fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.json(name)?).ok()
    }

    /// The names of all flags.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Sets a flag to `true`, or takes it away.
    pub fn set(&mut self, name: &str, value: bool) {
        if value {
            self.set_json(name, "true");
        } else {
            self.0.remove(name);
        }
    }

    /// Sets a flag to a string.
    pub fn set_text(&mut self, name: &str, value: &str) {
        let mut json = String::new();
        write_text(value, &mut json);
        self.set_json(name, &json);
    }

    fn set_json(&mut self, name: &str, json: &str) {
        let value = RawValue::from_string(json.to_owned()).expect("what was written is JSON");
        self.0.insert(name.to_owned(), value);
    }
}

impl GoValue for Flags {
    fn unset() -> Self {
        Self::default()
    }

    fn read<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Self, A::Error> {
        Ok(Self(map.next_value::<Option<BTreeMap<String, Box<RawValue>>>>()?.unwrap_or_default()))
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn write(&self, out: &mut String) {
        write_map(&self.0, out, |value, out| out.push_str(value.get()));
    }
}
