//! Reading the fields of objects.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use crate::error::{ManifestErrorKind as ErrorKind, quoted};
use crate::json::{Document, Entry, Fault, Kind, Value, fold, folds_equal};

/// The fields of an object that stands for a struct.
///
/// No two keys differ only by case: readers written in Go take them for one field, others for two.
/// A field that is `null` counts as missing, as in Go.
pub(crate) struct Fields<'v> {
    object: &'v Value<'v>,
    entries: &'v [Entry<'v>],
    any_case: bool,
}

impl<'v> Fields<'v> {
    /// The fields of an object whose keys have to be spelled right.
    ///
    /// A key that differs from a known one by case only is refused when the field is asked for.
    pub(crate) fn of(object: &'v Value<'v>) -> Result<Self, Fault> {
        Self::with_case(object, false)
    }

    /// The fields of an object whose keys match in any case, as in Go.
    pub(crate) fn of_any_case(object: &'v Value<'v>) -> Result<Self, Fault> {
        Self::with_case(object, true)
    }

    fn with_case(object: &'v Value<'v>, any_case: bool) -> Result<Self, Fault> {
        let Kind::Object(entries) = &object.kind else {
            return Err(object.wrong_type("an object"));
        };
        refuse_case_variants(entries)?;
        Ok(Self { object, entries, any_case })
    }

    /// The value of a field, `None` if it is missing or null.
    pub(crate) fn get(&self, name: &str) -> Result<Option<&'v Value<'v>>, Fault> {
        let Some(entry) = self.entries.iter().find(|entry| folds_equal(&entry.key, name)) else {
            return Ok(None);
        };
        if !self.any_case && entry.key != name && !entry.value.is_null() {
            let detail = format!(
                "the key {} is {} to readers that ignore case; it has to be spelled {}",
                quoted(&entry.key),
                quoted(name),
                quoted(name),
            );
            return Err(Fault {
                kind: ErrorKind::Ambiguous,
                at: entry.key_start,
                below: None,
                detail,
            });
        }
        Ok(Some(&entry.value).filter(|value| !value.is_null()))
    }

    /// The value of a field in whatever case its key is, `None` if it is missing or null.
    pub(crate) fn get_any_case(&self, name: &str) -> Option<&'v Value<'v>> {
        let entry = self.entries.iter().find(|entry| folds_equal(&entry.key, name));
        entry.map(|entry| &entry.value).filter(|value| !value.is_null())
    }

    /// Whether the field is there, even if it is null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| folds_equal(&entry.key, name))
    }

    /// The value of a field that has to be there.
    pub(crate) fn require(&self, name: &'static str) -> Result<&'v Value<'v>, Fault> {
        self.get(name)?.ok_or_else(|| {
            self.object.fault_below(name, ErrorKind::MissingField, "the field is required")
        })
    }

    /// The entries whose keys are none of the names.
    pub(crate) fn others(&self, names: &[&str]) -> impl Iterator<Item = &'v Entry<'v>> {
        self.entries.iter().filter(|entry| !names.iter().any(|name| folds_equal(name, &entry.key)))
    }

    pub(crate) fn string(&self, name: &str) -> Result<Option<&'v str>, Fault> {
        self.get(name)?.map(Value::as_str).transpose()
    }

    /// A string, empty if it is missing.
    pub(crate) fn text(&self, name: &str) -> Result<String, Fault> {
        Ok(self.string(name)?.unwrap_or_default().to_owned())
    }

    /// A string, `None` if it is missing or empty.
    pub(crate) fn nonempty(&self, name: &str) -> Result<Option<String>, Fault> {
        Ok(self.string(name)?.filter(|text| !text.is_empty()).map(str::to_owned))
    }

    pub(crate) fn set(&self, name: &str) -> Result<BTreeSet<String>, Fault> {
        self.get(name)?.map_or_else(|| Ok(BTreeSet::new()), Value::as_set)
    }

    /// A string that is parsed further, `None` if it is missing.
    pub(crate) fn parsed<T>(&self, name: &str) -> Result<Option<T>, Fault>
    where
        T: FromStr<Err: std::fmt::Display>,
    {
        self.get(name)?.map(Value::as_parsed).transpose()
    }

    pub(crate) fn boolean(&self, name: &str) -> Result<bool, Fault> {
        match self.get(name)? {
            None => Ok(false),
            Some(Value { kind: Kind::Bool(value), .. }) => Ok(*value),
            Some(value) => Err(value.wrong_type("a boolean")),
        }
    }

    pub(crate) fn integer(
        &self,
        document: &Document<'_>,
        name: &str,
    ) -> Result<Option<i64>, Fault> {
        self.get(name)?.map(|value| value.as_integer(document)).transpose()
    }

    /// The elements of an array, none if it is missing.
    pub(crate) fn array(&self, name: &str) -> Result<&'v [Value<'v>], Fault> {
        self.get(name)?.map_or(Ok(&[]), Value::as_array)
    }

    pub(crate) fn strings(&self, name: &str) -> Result<Vec<String>, Fault> {
        self.get(name)?.map_or_else(|| Ok(Vec::new()), strings)
    }

    pub(crate) fn string_map(&self, name: &str) -> Result<BTreeMap<String, String>, Fault> {
        self.get(name)?.map_or_else(|| Ok(BTreeMap::new()), Value::as_string_map)
    }
}

fn refuse_case_variants(entries: &[Entry<'_>]) -> Result<(), Fault> {
    let mut keys: Vec<(Cow<'_, str>, &Entry<'_>)> =
        entries.iter().map(|entry| (fold(&entry.key), entry)).collect();
    keys.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.key_start.cmp(&b.1.key_start)));
    let pairs = keys.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    let Some(pair) = pairs.min_by_key(|pair| pair[1].1.key_start) else { return Ok(()) };
    let (first, second) = (pair[0].1, pair[1].1);
    let detail = format!(
        "the keys {} and {} are one to readers that ignore case",
        quoted(&first.key),
        quoted(&second.key),
    );
    Err(Fault { kind: ErrorKind::DuplicateKey, at: second.key_start, below: None, detail })
}

impl<'v> Value<'v> {
    pub(crate) fn as_str(&'v self) -> Result<&'v str, Fault> {
        let Kind::String(text) = &self.kind else { return Err(self.wrong_type("a string")) };
        Ok(text)
    }

    pub(crate) fn as_array(&'v self) -> Result<&'v [Value<'v>], Fault> {
        let Kind::Array(items) = &self.kind else { return Err(self.wrong_type("an array")) };
        Ok(items)
    }

    /// A number without fraction and exponent that fits 64 bits with a sign, as in Go.
    pub(crate) fn as_integer(&self, document: &Document<'_>) -> Result<i64, Fault> {
        let Kind::Number = self.kind else { return Err(self.wrong_type("a number")) };
        let text = String::from_utf8_lossy(document.text(self));
        text.parse().map_err(|_| {
            let detail = format!("{} is not an integer of 64 bits", quoted(&text));
            self.fault(ErrorKind::InvalidValue, detail)
        })
    }

    /// The keys of an object whose values are empty objects, as Go writes a set.
    pub(crate) fn as_set(&self) -> Result<BTreeSet<String>, Fault> {
        let Kind::Object(entries) = &self.kind else { return Err(self.wrong_type("an object")) };
        let mut keys = BTreeSet::new();
        for entry in entries {
            if !matches!(entry.value.kind, Kind::Object(_) | Kind::Null) {
                return Err(entry.value.wrong_type("an object"));
            }
            keys.insert(entry.key.to_string());
        }
        Ok(keys)
    }

    /// An object of strings; null stands for an empty string, as in Go.
    ///
    /// Keys that differ by case are different keys here, in Go as well.
    pub(crate) fn as_string_map(&self) -> Result<BTreeMap<String, String>, Fault> {
        let Kind::Object(entries) = &self.kind else { return Err(self.wrong_type("an object")) };
        entries.iter().map(|e| Ok((e.key.to_string(), string_or_null(&e.value)?))).collect()
    }

    /// A string that is parsed further.
    pub(crate) fn as_parsed<T>(&'v self) -> Result<T, Fault>
    where
        T: FromStr<Err: std::fmt::Display>,
    {
        self.as_str()?
            .parse::<T>()
            .map_err(|error| self.fault(ErrorKind::InvalidValue, error.to_string()))
    }
}

/// An array of strings; null stands for an empty string, as in Go.
pub(crate) fn strings(value: &Value<'_>) -> Result<Vec<String>, Fault> {
    value.as_array()?.iter().map(string_or_null).collect()
}

fn string_or_null(value: &Value<'_>) -> Result<String, Fault> {
    if value.is_null() { Ok(String::new()) } else { value.as_str().map(str::to_owned) }
}
