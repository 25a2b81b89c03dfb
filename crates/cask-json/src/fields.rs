//! Reading values as what they have to be, and the fields of objects.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;

use crate::{Entries, Entry, Error, ErrorKind, Items, Kind, Value, fold, folds_equal, quoted};

/// The fields of an object that stands for a struct.
///
/// No two keys differ only by case: readers written in Go take them for one field, others for two.
/// A field that is `null` counts as missing, as in Go.
///
/// Every lookup goes through all keys, so ask for a fixed set of names.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'d> {
    object: Value<'d>,
    any_case: bool,
}

impl<'d> Fields<'d> {
    /// The fields of an object whose keys have to be spelled right.
    ///
    /// A key that differs from a known one by case only is refused when the field is asked for.
    ///
    /// # Errors
    /// `WrongType` for anything but an object, `DuplicateKey` for keys that differ by case only.
    pub fn of(object: Value<'d>) -> Result<Self, Error> {
        Self::with_case(object, false)
    }

    /// The fields of an object whose keys match in any case, as in Go.
    ///
    /// # Errors
    /// Those of [`of`](Self::of).
    pub fn of_any_case(object: Value<'d>) -> Result<Self, Error> {
        Self::with_case(object, true)
    }

    fn with_case(object: Value<'d>, any_case: bool) -> Result<Self, Error> {
        refuse_case_variants(object.entries()?)?;
        Ok(Self { object, any_case })
    }

    fn entries(&self) -> Entries<'d> {
        self.object.entries().expect("it was an object before")
    }

    fn find(&self, name: &str) -> Option<Entry<'d>> {
        self.entries().find(|entry| folds_equal(entry.key(), name))
    }

    /// The object that has the fields.
    pub fn object(&self) -> Value<'d> {
        self.object
    }

    /// The value of a field, `None` if it is missing or null.
    ///
    /// # Errors
    /// `KeyCase` where the keys have to be spelled right, and this one is not.
    pub fn get(&self, name: &str) -> Result<Option<Value<'d>>, Error> {
        let Some(entry) = self.find(name) else { return Ok(None) };
        if !self.any_case && entry.key() != name && !entry.value().is_null() {
            let (key, name) = (quoted(entry.key()), quoted(name));
            let detail = format!(
                "the key {key} is {name} to readers that ignore case; it has to be spelled {name}"
            );
            return Err(Error::new(ErrorKind::KeyCase, entry.key_place(), detail));
        }
        Ok(Some(entry.value()).filter(|value| !value.is_null()))
    }

    /// The value of a field in whatever case its key is, `None` if it is missing or null.
    pub fn get_any_case(&self, name: &str) -> Option<Value<'d>> {
        self.find(name).map(Entry::value).filter(|value| !value.is_null())
    }

    /// Whether the field is there in whatever case, even if it is null.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The value of a field that has to be there.
    ///
    /// # Errors
    /// `MissingField` if it is missing or null; else those of [`get`](Self::get).
    pub fn require(&self, name: &str) -> Result<Value<'d>, Error> {
        self.get(name)?.ok_or_else(|| {
            let place = self.object.place().below(name);
            Error::new(ErrorKind::MissingField, place, "the field is required")
        })
    }

    /// The entries whose keys are none of the names, in whatever case.
    pub fn others(&self, names: &[&str]) -> impl Iterator<Item = Entry<'d>> {
        self.entries().filter(|entry| !names.iter().any(|name| folds_equal(name, entry.key())))
    }

    /// A string, `None` if it is missing.
    ///
    /// # Errors
    /// Those of [`get`](Self::get) and [`Value::as_str`].
    pub fn string(&self, name: &str) -> Result<Option<&'d str>, Error> {
        self.get(name)?.map(Value::as_str).transpose()
    }

    /// A string, empty if it is missing.
    ///
    /// # Errors
    /// Those of [`string`](Self::string).
    pub fn text(&self, name: &str) -> Result<String, Error> {
        Ok(self.string(name)?.unwrap_or_default().to_owned())
    }

    /// A string, `None` if it is missing or empty.
    ///
    /// # Errors
    /// Those of [`string`](Self::string).
    pub fn nonempty(&self, name: &str) -> Result<Option<String>, Error> {
        Ok(self.string(name)?.filter(|text| !text.is_empty()).map(str::to_owned))
    }

    /// A string that is parsed further, `None` if it is missing.
    ///
    /// # Errors
    /// Those of [`get`](Self::get) and [`Value::as_parsed`].
    pub fn parsed<T>(&self, name: &str) -> Result<Option<T>, Error>
    where
        T: FromStr<Err: Display>,
    {
        self.get(name)?.map(Value::as_parsed).transpose()
    }

    /// A boolean, false if it is missing.
    ///
    /// # Errors
    /// Those of [`get`](Self::get) and [`Value::as_bool`].
    pub fn boolean(&self, name: &str) -> Result<bool, Error> {
        self.get(name)?.map_or(Ok(false), Value::as_bool)
    }

    /// An integer, `None` if it is missing.
    ///
    /// # Errors
    /// Those of [`get`](Self::get) and [`Value::as_integer`].
    pub fn integer(&self, name: &str) -> Result<Option<i64>, Error> {
        self.get(name)?.map(Value::as_integer).transpose()
    }

    /// The elements of an array, none if it is missing.
    ///
    /// # Errors
    /// Those of [`get`](Self::get) and [`Value::items`].
    pub fn array(&self, name: &str) -> Result<Items<'d>, Error> {
        self.get(name)?.map_or_else(|| Ok(Items::empty(self.object)), Value::items)
    }

    /// An array of strings, empty if it is missing.
    ///
    /// # Errors
    /// Those of [`get`](Self::get) and [`Value::as_strings`].
    pub fn strings(&self, name: &str) -> Result<Vec<String>, Error> {
        self.get(name)?.map_or_else(|| Ok(Vec::new()), Value::as_strings)
    }

    /// The keys of an object that stands for a set, none if it is missing.
    ///
    /// # Errors
    /// Those of [`get`](Self::get) and [`Value::as_string_set`].
    pub fn string_set(&self, name: &str) -> Result<BTreeSet<String>, Error> {
        self.get(name)?.map_or_else(|| Ok(BTreeSet::new()), Value::as_string_set)
    }

    /// An object of strings, empty if it is missing.
    ///
    /// # Errors
    /// Those of [`get`](Self::get) and [`Value::as_string_map`].
    pub fn string_map(&self, name: &str) -> Result<BTreeMap<String, String>, Error> {
        self.get(name)?.map_or_else(|| Ok(BTreeMap::new()), Value::as_string_map)
    }
}

fn refuse_case_variants(entries: Entries<'_>) -> Result<(), Error> {
    // Entries in the order of the document have rising offsets.
    let mut keys: Vec<(Cow<'_, str>, usize, Entry<'_>)> =
        entries.enumerate().map(|(index, entry)| (fold(entry.key()), index, entry)).collect();
    keys.sort_unstable_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    let pairs = keys.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    let Some([first, second]) = pairs.min_by_key(|pair| pair[1].1) else { return Ok(()) };
    let detail = format!(
        "the keys {} and {} are one to readers that ignore case",
        quoted(first.2.key()),
        quoted(second.2.key()),
    );
    Err(Error::new(ErrorKind::DuplicateKey, second.2.key_place(), detail))
}

impl<'d> Value<'d> {
    /// The text of a string.
    ///
    /// # Errors
    /// `WrongType` for anything else.
    pub fn as_str(self) -> Result<&'d str, Error> {
        match self.kind() {
            Kind::String(text) => Ok(text),
            _ => Err(self.wrong_type("a string")),
        }
    }

    /// A string that is parsed further.
    ///
    /// # Errors
    /// `WrongType` for anything but a string, `InvalidValue` with what the parser of `T` says.
    pub fn as_parsed<T>(self) -> Result<T, Error>
    where
        T: FromStr<Err: Display>,
    {
        let parsed = self.as_str()?.parse::<T>();
        parsed.map_err(|error| self.error(ErrorKind::InvalidValue, error.to_string()))
    }

    /// A boolean.
    ///
    /// # Errors
    /// `WrongType` for anything else.
    pub fn as_bool(self) -> Result<bool, Error> {
        match self.kind() {
            Kind::Boolean(value) => Ok(value),
            _ => Err(self.wrong_type("a boolean")),
        }
    }

    /// A number without fraction and exponent that fits 64 bits with a sign, as in Go.
    ///
    /// # Errors
    /// `WrongType` for anything but a number, `InvalidValue` for any other number.
    pub fn as_integer(self) -> Result<i64, Error> {
        self.number("an integer of 64 bits")
    }

    /// A number without fraction, exponent and sign that fits 64 bits, as in Go.
    ///
    /// # Errors
    /// `WrongType` for anything but a number, `InvalidValue` for any other number.
    pub fn as_unsigned(self) -> Result<u64, Error> {
        self.number("a natural number of 64 bits")
    }

    fn number<T: FromStr>(self, expected: &str) -> Result<T, Error> {
        let Kind::Number(text) = self.kind() else { return Err(self.wrong_type("a number")) };
        text.parse().map_err(|_| {
            let detail = format!("{} is not {expected}", quoted(text));
            self.error(ErrorKind::InvalidValue, detail)
        })
    }

    /// The elements of an array.
    ///
    /// # Errors
    /// `WrongType` for anything else.
    pub fn items(self) -> Result<Items<'d>, Error> {
        match self.kind() {
            Kind::Array(items) => Ok(items),
            _ => Err(self.wrong_type("an array")),
        }
    }

    /// The entries of an object, in the document's order.
    ///
    /// # Errors
    /// `WrongType` for anything else.
    pub fn entries(self) -> Result<Entries<'d>, Error> {
        match self.kind() {
            Kind::Object(entries) => Ok(entries),
            _ => Err(self.wrong_type("an object")),
        }
    }

    /// An array of strings; null stands for an empty string, as in Go.
    ///
    /// # Errors
    /// `WrongType` for anything else, or if an element is something else.
    pub fn as_strings(self) -> Result<Vec<String>, Error> {
        self.items()?.map(string_or_null).collect()
    }

    /// The keys of an object whose values are objects or null, as Go writes a set
    /// (`map[string]struct{}`).
    ///
    /// # Errors
    /// `WrongType` for anything else, or if a value is something else.
    pub fn as_string_set(self) -> Result<BTreeSet<String>, Error> {
        let key = |entry: Entry<'_>| match entry.value().kind() {
            Kind::Object(_) | Kind::Null => Ok(entry.key().to_owned()),
            _ => Err(entry.value().wrong_type("an object")),
        };
        self.entries()?.map(key).collect()
    }

    /// An object of strings; null stands for an empty string, as in Go.
    ///
    /// Keys that differ by case are different keys here, in Go as well.
    ///
    /// # Errors
    /// `WrongType` for anything else, or if a value is something else.
    pub fn as_string_map(self) -> Result<BTreeMap<String, String>, Error> {
        self.entries()?.map(|e| Ok((e.key().to_owned(), string_or_null(e.value())?))).collect()
    }
}

fn string_or_null(value: Value<'_>) -> Result<String, Error> {
    if value.is_null() { Ok(String::new()) } else { value.as_str().map(str::to_owned) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, Rules, parse};

    const DOCUMENT: &[u8] = br#"{
        "name": "n", "Size": 7, "big": 9223372036854775808, "on": true, "no": null, "empty": "",
        "list": ["a", null], "set": {"x": {}, "y": null}, "map": {"k": "v", "K": null},
        "mixed": [1, "a"], "port": "80"
    }"#;

    fn document() -> Document<'static> {
        parse(DOCUMENT, Rules::default()).unwrap()
    }

    #[test]
    fn fields_are_read_by_type() {
        let document = document();
        let fields = Fields::of(document.root()).unwrap();
        assert_eq!(fields.string("name"), Ok(Some("n")));
        assert_eq!(fields.string("no"), Ok(None));
        assert_eq!(fields.text("missing"), Ok(String::new()));
        assert_eq!(fields.nonempty("empty"), Ok(None));
        assert_eq!(fields.boolean("on"), Ok(true));
        assert_eq!(fields.boolean("missing"), Ok(false));
        assert_eq!(fields.parsed::<u16>("port"), Ok(Some(80)));
        assert_eq!(fields.strings("list"), Ok(vec!["a".into(), String::new()]));
        assert_eq!(fields.array("missing").unwrap().count(), 0);
        assert_eq!(fields.string_set("set").unwrap().len(), 2);
        assert_eq!(fields.string_map("map").unwrap()["k"], "v");
        assert_eq!(fields.require("big").unwrap().as_unsigned(), Ok(1 << 63));
        assert!(fields.has("no") && fields.has("size") && !fields.has("missing"));
        assert!(fields.get_any_case("SIZE").is_some() && fields.get_any_case("no").is_none());
        let others: Vec<_> = fields.others(&["NAME", "size", "big", "on", "no", "empty"]).collect();
        assert_eq!(others.len(), 5);
        assert_eq!(others[0].key(), "list");
        let fields = Fields::of_any_case(document.root()).unwrap();
        assert_eq!(fields.integer("size"), Ok(Some(7)));
    }

    #[test]
    fn errors_say_what_was_expected_and_where() {
        let document = document();
        let fields = Fields::of(document.root()).unwrap();
        #[track_caller]
        fn check<T: std::fmt::Debug>(found: Result<T, Error>, kind: ErrorKind, expected: &str) {
            let error = found.unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert_eq!(error.kind(), kind);
        }
        use ErrorKind::{InvalidValue, KeyCase, MissingField, WrongType};
        check(
            fields.string("list"),
            WrongType,
            "list: expected a string, found an array (line 3, column 17)",
        );
        check(
            fields.strings("mixed"),
            WrongType,
            "mixed[0]: expected a string, found a number (line 4, column 19)",
        );
        check(
            fields.integer("size"),
            KeyCase,
            "Size: the key \"Size\" is \"size\" to readers that ignore case; it has to be spelled \
             \"size\" (line 2, column 22)",
        );
        check(
            fields.integer("big"),
            InvalidValue,
            "big: \"9223372036854775808\" is not an integer of 64 bits (line 2, column 40)",
        );
        check(
            fields.parsed::<u16>("name"),
            InvalidValue,
            "name: invalid digit found in string (line 2, column 17)",
        );
        check(fields.require("no"), MissingField, "no: the field is required (line 1, column 1)");
        check(
            Fields::of(fields.require("name").unwrap()),
            WrongType,
            "name: expected an object, found a string (line 2, column 17)",
        );
    }

    #[test]
    fn keys_that_differ_by_case_are_refused_where_they_are_fields() {
        #[track_caller]
        fn check(text: &str, path: Option<&str>) {
            let document = parse(text.as_bytes(), Rules::default()).unwrap();
            let found = Fields::of_any_case(document.root()).map_err(|error| {
                assert_eq!(error.kind(), ErrorKind::DuplicateKey);
                error.path().to_owned()
            });
            assert_eq!(found.err().as_deref(), path, "{text}");
        }
        check(r#"{"a":1,"b":1}"#, None);
        check(r#"{"a":1,"b":1,"A":1}"#, Some("A"));
        check(r#"{"B":1,"a":1,"b":1,"A":1}"#, Some("b"));
        check("{\"s\":1,\"\u{17f}\":1}", Some("[\"\u{17f}\"]"));
    }
}
