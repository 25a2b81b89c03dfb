//! From anything serde can serialise to a [`Value`].

use serde::{Serialize, Serializer, ser};

use super::model::{Field, Record, Repr, Value};
use super::{duration, nil, time};

/// How many containers may lie in one another.
const MAX_DEPTH: u32 = 128;

/// A value that has no counterpart in Go.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueError {
    /// More than 128 containers lie in one another.
    TooDeep,
    /// An integer beyond 64 bits.
    IntegerTooLarge(String),
    /// A map key that is no string, integer, boolean, character or unit variant.
    BadKey(&'static str),
    /// The type's own `Serialize` failed.
    Custom(String),
}

impl std::fmt::Display for ValueError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooDeep => write!(formatter, "value is nested deeper than {MAX_DEPTH} levels"),
            Self::IntegerTooLarge(number) => {
                write!(formatter, "integer {number} does not fit in 64 bits")
            }
            Self::BadKey(found) => {
                write!(formatter, "map key is {found}; strings and integers can be keys")
            }
            Self::Custom(message) => formatter.write_str(message),
        }
    }
}

impl std::error::Error for ValueError {}

impl ser::Error for ValueError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::Custom(message.to_string())
    }
}

impl Value {
    /// Takes a value over from any serialisable type.
    ///
    /// # Errors
    ///
    /// [`ValueError`], if the type's own `Serialize` fails or the value has no counterpart in Go.
    pub fn of<T: Serialize + ?Sized>(data: &T) -> Result<Self, ValueError> {
        data.serialize(Builder { depth: 0 })
    }
}

#[derive(Clone, Copy)]
struct Builder {
    depth: u32,
}

impl Builder {
    fn deeper(self) -> Result<Self, ValueError> {
        let depth = self.depth + 1;
        if depth > MAX_DEPTH { Err(ValueError::TooDeep) } else { Ok(Self { depth }) }
    }
}

impl Serializer for Builder {
    type Ok = Value;
    type Error = ValueError;
    type SerializeSeq = ListBuilder;
    type SerializeTuple = ListBuilder;
    type SerializeTupleStruct = ListBuilder;
    type SerializeTupleVariant = Variant<ListBuilder>;
    type SerializeMap = MapBuilder;
    type SerializeStruct = StructBuilder;
    type SerializeStructVariant = Variant<StructBuilder>;

    fn serialize_bool(self, value: bool) -> Result<Value, ValueError> {
        Ok(Value(Repr::Bool(value)))
    }

    fn serialize_i8(self, value: i8) -> Result<Value, ValueError> {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<Value, ValueError> {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<Value, ValueError> {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result<Value, ValueError> {
        Ok(Value(Repr::Int(value)))
    }

    fn serialize_i128(self, value: i128) -> Result<Value, ValueError> {
        let small = i64::try_from(value);
        self.serialize_i64(small.map_err(|_| ValueError::IntegerTooLarge(value.to_string()))?)
    }

    fn serialize_u8(self, value: u8) -> Result<Value, ValueError> {
        self.serialize_u64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<Value, ValueError> {
        self.serialize_u64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<Value, ValueError> {
        self.serialize_u64(value.into())
    }

    fn serialize_u64(self, value: u64) -> Result<Value, ValueError> {
        Ok(Value(Repr::Uint(value)))
    }

    fn serialize_u128(self, value: u128) -> Result<Value, ValueError> {
        let small = u64::try_from(value);
        self.serialize_u64(small.map_err(|_| ValueError::IntegerTooLarge(value.to_string()))?)
    }

    fn serialize_f32(self, value: f32) -> Result<Value, ValueError> {
        // By way of its digits, so that 0.1 stays 0.1.
        self.serialize_f64(value.to_string().parse().unwrap_or_else(|_| value.into()))
    }

    fn serialize_f64(self, value: f64) -> Result<Value, ValueError> {
        Ok(Value(Repr::Float(value)))
    }

    fn serialize_char(self, value: char) -> Result<Value, ValueError> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<Value, ValueError> {
        Ok(Value::string(value))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Value, ValueError> {
        Ok(Value::list(value.iter().map(|byte| Value(Repr::Uint(u64::from(*byte))))))
    }

    fn serialize_none(self) -> Result<Value, ValueError> {
        Ok(Value(Repr::Nil))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, ValueError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, ValueError> {
        Ok(Value::NO_VALUE)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, ValueError> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Value, ValueError> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Value, ValueError> {
        match name {
            nil::LIST => Ok(Value(Repr::NilList)),
            nil::MAP => Ok(Value(Repr::NilMap)),
            time::TIME => value.serialize(self).map(timed),
            duration::DURATION => value.serialize(self).map(lasting),
            _ => value.serialize(self),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, ValueError> {
        Ok(Value::map([(variant, value.serialize(self.deeper()?)?)]))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<ListBuilder, ValueError> {
        // The length is somebody's claim: it saves a few reallocations, and no more.
        let items = Vec::with_capacity(length.unwrap_or(0).min(1024));
        Ok(ListBuilder { inner: self.deeper()?, items })
    }

    fn serialize_tuple(self, length: usize) -> Result<ListBuilder, ValueError> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        length: usize,
    ) -> Result<ListBuilder, ValueError> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Variant<ListBuilder>, ValueError> {
        Ok(Variant { variant, content: self.deeper()?.serialize_seq(Some(length))? })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<MapBuilder, ValueError> {
        Ok(MapBuilder { inner: self.deeper()?, entries: Vec::new(), key: None })
    }

    fn serialize_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<StructBuilder, ValueError> {
        let fields = Vec::with_capacity(length);
        Ok(StructBuilder { inner: self.deeper()?, name, fields })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Variant<StructBuilder>, ValueError> {
        Ok(Variant { variant, content: self.deeper()?.serialize_struct(name, length)? })
    }
}

fn lasting(value: Value) -> Value {
    match value.0 {
        Repr::Int(nanoseconds) => Value(Repr::Duration(nanoseconds)),
        _ => value,
    }
}

fn timed(value: Value) -> Value {
    let Repr::Text(bytes) = &value.0 else { return value };
    let json = String::from_utf8_lossy(bytes).into_owned();
    match time::go_time(&json) {
        Some(shown) => Value(Repr::Time((shown, json).into())),
        None => value,
    }
}

struct ListBuilder {
    inner: Builder,
    items: Vec<Value>,
}

impl ListBuilder {
    fn push<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), ValueError> {
        self.items.push(item.serialize(self.inner)?);
        Ok(())
    }

    fn finish(self) -> Value {
        Value(Repr::List(self.items.into()))
    }
}

impl ser::SerializeSeq for ListBuilder {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), ValueError> {
        self.push(item)
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(self.finish())
    }
}

impl ser::SerializeTuple for ListBuilder {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), ValueError> {
        self.push(item)
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(self.finish())
    }
}

impl ser::SerializeTupleStruct for ListBuilder {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), ValueError> {
        self.push(item)
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(self.finish())
    }
}

struct MapBuilder {
    inner: Builder,
    entries: Vec<(Value, Value)>,
    key: Option<Value>,
}

impl ser::SerializeMap for MapBuilder {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), ValueError> {
        let key = key.serialize(self.inner)?;
        let refused = match &key.0 {
            Repr::Bool(_) | Repr::Int(_) | Repr::Uint(_) | Repr::Text(_) => None,
            Repr::NoValue | Repr::Nil | Repr::NilList | Repr::NilMap => Some("nil"),
            Repr::Float(_) => Some("a float"),
            Repr::List(_) => Some("a list"),
            Repr::Map(_) => Some("a map"),
            Repr::Struct(_) => Some("a struct"),
            Repr::Time(_) => Some("a time"),
            Repr::Duration(_) => Some("a duration"),
        };
        if let Some(found) = refused {
            return Err(ValueError::BadKey(found));
        }
        self.key = Some(key);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        let value = value.serialize(self.inner)?;
        let key = self.key.take().ok_or(ValueError::BadKey("missing"))?;
        self.entries.push((key, value));
        Ok(())
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(Value::sorted_map(self.entries))
    }
}

struct StructBuilder {
    inner: Builder,
    name: &'static str,
    fields: Vec<Field>,
}

impl StructBuilder {
    fn push<T: Serialize + ?Sized>(
        &mut self,
        label: &'static str,
        value: &T,
    ) -> Result<(), ValueError> {
        let (name, key, omit_empty) = split_label(label);
        let value = value.serialize(self.inner)?;
        let skipped = matches!(key, "-" | METHOD | LOOKUP);
        self.fields.push(Field { name, key, omit_empty, skipped, value });
        Ok(())
    }

    fn skip(&mut self, label: &'static str) {
        let (name, key, omit_empty) = split_label(label);
        self.fields.push(Field { name, key, omit_empty, skipped: true, value: Value(Repr::Nil) });
    }

    fn finish(self) -> Value {
        Value(Repr::Struct(Record { name: self.name, fields: self.fields }.into()))
    }
}

/// The key of what templates find by its name and nothing shows.
pub(crate) const METHOD: &str = "method()";
/// The key of a map that templates ask for the value of a name, and nothing shows.
pub(crate) const LOOKUP: &str = "lookup()";

/// Splits `GraphRoot json:graphRoot,omitempty`.
fn split_label(label: &'static str) -> (&'static str, &'static str, bool) {
    // No name has a space, and to look for one character takes no time.
    let Some((name, rest)) = label.split_once(' ') else { return (label, label, false) };
    if rest == "method" {
        return (name, METHOD, false);
    }
    if rest == "lookup" {
        return (name, LOOKUP, false);
    }
    let Some(tag) = rest.strip_prefix("json:") else { return (label, label, false) };
    let (key, options) = tag.split_once(',').unwrap_or((tag, ""));
    let key = if key.is_empty() { name } else { key };
    (name, key, options.split(',').any(|option| option == "omitempty"))
}

impl ser::SerializeStruct for StructBuilder {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        label: &'static str,
        value: &T,
    ) -> Result<(), ValueError> {
        self.push(label, value)
    }

    fn skip_field(&mut self, label: &'static str) -> Result<(), ValueError> {
        self.skip(label);
        Ok(())
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(self.finish())
    }
}

/// The content of an enum variant, which becomes the one entry of a map.
struct Variant<B> {
    variant: &'static str,
    content: B,
}

impl ser::SerializeTupleVariant for Variant<ListBuilder> {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), ValueError> {
        self.content.push(item)
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(Value::map([(self.variant, self.content.finish())]))
    }
}

impl ser::SerializeStructVariant for Variant<StructBuilder> {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        label: &'static str,
        value: &T,
    ) -> Result<(), ValueError> {
        self.content.push(label, value)
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(Value::map([(self.variant, self.content.finish())]))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use super::*;

    fn check<T: Serialize>(data: T, expected: &str) {
        assert_eq!(Value::of(&data).unwrap().to_string(), expected);
    }

    #[derive(Serialize)]
    enum Kind {
        Plain,
        Wrapped(u8),
        Pair(u8, u8),
        Fields { inner: u8 },
    }

    #[derive(Serialize)]
    struct Unit;

    #[test]
    fn methods_are_found_and_not_shown() {
        #[derive(Serialize)]
        struct Image {
            #[serde(rename = "ID json:Id")]
            id: &'static str,
            #[serde(rename = "Age method")]
            age: &'static str,
            #[serde(rename = "Size")]
            size: u8,
        }
        let image = Image { id: "a", age: "1 day", size: 3 };
        check(&image, "{a 3}");
        let value = Value::of(&image).unwrap();
        let json = crate::value::to_json(&value, crate::value::JsonStyle::compact());
        assert_eq!(json, r#"{"Id":"a","Size":3}"#);
        let Repr::Struct(record) = &value.0 else { panic!("it is a struct") };
        assert!(record.fields.iter().any(|field| field.name == "Age"));
    }

    #[test]
    fn every_shape_of_serde_has_a_counterpart() {
        check(true, "true");
        check(-5_i8, "-5");
        check(u64::MAX, "18446744073709551615");
        check(0.1_f32, "0.1");
        check('é', "é");
        check("text", "text");
        check((1, "a"), "[1 a]");
        check(vec![Some(1), None], "[1 <nil>]");
        check(((), 1), "[<nil> 1]");
        check(Unit, "<nil>");
        check([Kind::Plain], "[Plain]");
        check(Kind::Wrapped(1), "map[Wrapped:1]");
        check(Kind::Pair(1, 2), "map[Pair:[1 2]]");
        check(Kind::Fields { inner: 3 }, "map[Fields:{3}]");
        check(HashMap::from([("b", 1), ("a", 2)]), "map[a:2 b:1]");
        check(BTreeMap::from([(10, 'x'), (-9, 'y')]), "map[-9:y 10:x]");
        check(
            serde_json::json!({"b": [1, -2, 1.5, null], "a": {}}),
            "map[a:map[] b:[1 -2 1.5 <nil>]]",
        );
    }

    #[test]
    fn structs_keep_the_order_of_their_fields() {
        #[derive(Serialize)]
        struct Row<'a> {
            #[serde(rename = "Zed json:zed,omitempty")]
            zed: &'a str,
            #[serde(rename = "Amy json:-")]
            amy: u8,
            #[serde(rename = "Bob json:,omitempty", skip_serializing_if = "Option::is_none")]
            bob: Option<u8>,
        }
        check(Row { zed: "z", amy: 1, bob: Some(2) }, "{z 1 2}");
        check(Row { zed: "z", amy: 1, bob: None }, "{z 1 <nil>}");
    }

    #[test]
    fn what_go_cannot_hold_is_refused() {
        let check = |error: Result<Value, ValueError>, expected: &str| {
            assert_eq!(error.unwrap_err().to_string(), expected);
        };
        check(Value::of(&u128::MAX), &format!("integer {} does not fit in 64 bits", u128::MAX));
        check(
            Value::of(&BTreeMap::from([(vec![1], 1)])),
            "map key is a list; strings and integers can be keys",
        );
        let mut deep = serde_json::json!(1);
        for _ in 0..200 {
            deep = serde_json::json!([deep]);
        }
        check(Value::of(&deep), "value is nested deeper than 128 levels");
    }
}
