//! The value itself.

use std::cmp::Ordering;
use std::sync::Arc;

/// A value as a Go program would hold it: what a template looks into.
///
/// Made from anything that implements [`serde::Serialize`] with [`Value::of`]. Copies are cheap:
/// strings, lists, maps and structs are shared.
///
/// | Rust | Go | printed |
/// |---|---|---|
/// | `bool`, integers, floats, strings | the same | `true`, `5`, `1.5`, `text` |
/// | sequences, tuples | slice | `[a b]` |
/// | maps | map, its keys sorted | `map[a:1 b:2]` |
/// | structs | struct, its fields in order | `{a 1}` |
/// | `None` | nil pointer | `<nil>` |
/// | `()`, unit structs | nil interface | `<no value>`, inside others `<nil>` |
/// | enum variants | the variant's name, or a map of one entry | |
///
/// # Names of fields
///
/// A field carries the name that the Go struct has, with `#[serde(rename = "…")]`. Where the key in
/// JSON is another, or the field is left out when empty, the rename says so as a Go tag would:
///
/// ```
/// use cask_terminal::value::{Value, to_json, JsonStyle};
///
/// #[derive(serde::Serialize)]
/// #[serde(rename = "define.StoreInfo")]
/// struct StoreInfo {
///     #[serde(rename = "GraphRoot json:graphRoot")]
///     graph_root: String,
///     #[serde(rename = "GraphOptions json:graphOptions,omitempty")]
///     graph_options: Vec<String>,
/// }
///
/// let info = StoreInfo { graph_root: "/var/lib".into(), graph_options: vec![] };
/// let value = Value::of(&info)?;
/// assert_eq!(value.to_string(), "{/var/lib []}");
/// assert_eq!(to_json(&value, JsonStyle::compact()), r#"{"graphRoot":"/var/lib"}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The struct's own rename is the Go type that error messages name.
///
/// What Go has as a method, or finds in a struct that this one embeds, is found by its name and shown nowhere
/// else, as in `#[serde(rename = "CreatedSince method")]`. A method that gives the value of a name, as
/// `{{.Label "version"}}`, is a map that is called `#[serde(rename = "Label lookup")]`; what it does not have is empty.
#[derive(Clone)]
pub struct Value(pub(crate) Repr);

/// The kinds of value.
#[derive(Clone, Debug)]
pub(crate) enum Repr {
    /// What is absent: a missing key, a nil interface.
    NoValue,
    /// A nil pointer.
    Nil,
    /// A nil slice.
    NilList,
    /// A nil map.
    NilMap,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    /// A string: Go's are bytes, UTF-8 by custom only.
    Text(Arc<[u8]>),
    List(Arc<[Value]>),
    /// Entries sorted by key, each key once.
    Map(Arc<[(Value, Value)]>),
    Struct(Arc<Record>),
    /// So many nanoseconds.
    Duration(i64),
    /// A time, in the form for people and in the form for JSON.
    Time(Arc<(String, String)>),
}

/// A struct: a type name and fields in order.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) name: &'static str,
    pub(crate) fields: Vec<Field>,
}

/// One field of a struct.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    /// The key in JSON.
    pub(crate) key: &'static str,
    /// Leaves the field out of JSON when its value is empty.
    pub(crate) omit_empty: bool,
    /// Leaves the field out of JSON always.
    pub(crate) skipped: bool,
    pub(crate) value: Value,
}

impl Value {
    pub(crate) const NO_VALUE: Self = Self(Repr::NoValue);

    pub(crate) fn text(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(Repr::Text(bytes.into()))
    }

    /// A string.
    pub fn string(text: &str) -> Self {
        Self::text(text.as_bytes())
    }

    /// A list of values.
    pub fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Self(Repr::List(items.into_iter().collect()))
    }

    /// A map with string keys; of entries with the same key the last one stays.
    pub fn map<K: AsRef<str>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        let entries = entries.into_iter().map(|(key, value)| (Self::string(key.as_ref()), value));
        Self::sorted_map(entries.collect())
    }

    pub(crate) fn sorted_map(mut entries: Vec<(Self, Self)>) -> Self {
        entries.reverse();
        entries.sort_by(|(left, _), (right, _)| left.compare_key(right));
        entries.dedup_by(|(later, _), (first, _)| later.compare_key(first).is_eq());
        Self(Repr::Map(entries.into()))
    }

    /// Go's name for the value's type, as errors and `%T` give it.
    ///
    /// Integers are `int` or `uint64` whatever their width was; the type of a list or a map comes
    /// from what it holds: `[]interface {}` for a mixture, `[]string` for nothing.
    pub(crate) fn type_name(&self) -> String {
        match &self.0 {
            Repr::NoValue => "interface {}".to_owned(),
            Repr::Nil => "*interface {}".to_owned(),
            Repr::NilList => "[]string".to_owned(),
            Repr::NilMap => "map[string]string".to_owned(),
            Repr::Bool(_) => "bool".to_owned(),
            Repr::Int(_) => "int".to_owned(),
            Repr::Duration(_) => super::duration::DURATION.to_owned(),
            Repr::Uint(_) => "uint64".to_owned(),
            Repr::Float(_) => "float64".to_owned(),
            Repr::Text(_) => "string".to_owned(),
            Repr::List(items) => format!("[]{}", common_type(items.iter())),
            Repr::Map(entries) => {
                let key = match entries.first() {
                    Some((key, _)) => key.type_name(),
                    None => "string".to_owned(),
                };
                format!("map[{key}]{}", common_type(entries.iter().map(|(_, value)| value)))
            }
            Repr::Struct(record) => record.name.to_owned(),
            Repr::Time(_) => "time.Time".to_owned(),
        }
    }

    /// Go's idea of truth: not the zero value of its type, not empty.
    pub(crate) fn is_true(&self) -> bool {
        match &self.0 {
            Repr::NoValue | Repr::Nil | Repr::NilList | Repr::NilMap => false,
            Repr::Bool(value) => *value,
            Repr::Int(value) | Repr::Duration(value) => *value != 0,
            Repr::Uint(value) => *value != 0,
            Repr::Float(value) => *value != 0.0,
            Repr::Text(bytes) => !bytes.is_empty(),
            Repr::List(items) => !items.is_empty(),
            Repr::Map(entries) => !entries.is_empty(),
            Repr::Struct(_) | Repr::Time(_) => true,
        }
    }

    /// The entry of a map, if the key is there.
    pub(crate) fn entry<'a>(entries: &'a [(Self, Self)], key: &Self) -> Option<&'a Self> {
        let found = entries.binary_search_by(|(candidate, _)| candidate.compare_key(key)).ok()?;
        entries.get(found).map(|(_, value)| value)
    }

    /// The order of map keys: `fmtsort`'s.
    pub(crate) fn compare_key(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Repr::Bool(left), Repr::Bool(right)) => left.cmp(right),
            (Repr::Int(left) | Repr::Duration(left), Repr::Int(right) | Repr::Duration(right)) => {
                left.cmp(right)
            }
            (Repr::Uint(left), Repr::Uint(right)) => left.cmp(right),
            (Repr::Float(left), Repr::Float(right)) => left.total_cmp(right),
            (Repr::Text(left), Repr::Text(right)) => left.cmp(right),
            (left, right) => rank(left).cmp(&rank(right)),
        }
    }
}

fn rank(repr: &Repr) -> u8 {
    match repr {
        Repr::Bool(_) => 1,
        Repr::Int(_) | Repr::Duration(_) => 2,
        Repr::Uint(_) => 3,
        Repr::Float(_) => 4,
        Repr::Text(_) => 5,
        _ => 0,
    }
}

fn common_type<'a>(mut values: impl Iterator<Item = &'a Value>) -> String {
    let Some(first) = values.next().map(Value::type_name) else { return "string".to_owned() };
    let uniform = values.all(|value| value.type_name() == first);
    if uniform { first } else { "interface {}".to_owned() }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Prints as Go's `%v`, bytes that are no UTF-8 replaced by U+FFFD.
impl std::fmt::Display for Value {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut sink = crate::go::Sink::unlimited();
        crate::go::print_value(&mut sink, self);
        formatter.write_str(&String::from_utf8_lossy(&sink.into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_keys_the_last_stays() {
        let map = Value::map([
            ("b", Value::string("1")),
            ("a", Value::string("2")),
            ("b", Value::string("3")),
        ]);
        assert_eq!(map.to_string(), "map[a:2 b:3]");
    }

    #[test]
    fn types_are_named_as_in_go() {
        let check = |value: Value, expected: &str| assert_eq!(value.type_name(), expected);
        check(Value::list([Value::string("a"), Value::string("b")]), "[]string");
        check(Value::list([Value::string("a"), Value(Repr::Int(1))]), "[]interface {}");
        check(Value::list([]), "[]string");
        check(Value::map([("a", Value(Repr::Int(1)))]), "map[string]int");
        check(Value::NO_VALUE, "interface {}");
    }
}
