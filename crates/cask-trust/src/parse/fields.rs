//! Objects of which every key is known.

use std::collections::HashSet;
use std::path::PathBuf;

use cask_json::{Entries, Entry, Items, Kind, Value, base64, quoted_as_go};

use super::path::Path;
use crate::error::{Fault, PolicyErrorKind};
use crate::requirement::KeySource;

/// Makes an error about `value`.
pub(super) fn fault(
    kind: PolicyErrorKind,
    value: Value<'_>,
    at: &Path<'_>,
    message: impl Into<String>,
) -> Fault {
    Fault { kind, message: message.into(), path: at.to_string(), position: value.position() }
}

/// Makes the error that `value` is not an `expected`.
pub(super) fn wrong_type(value: Value<'_>, at: &Path<'_>, expected: &str) -> Fault {
    let message = format!("cannot unmarshal {} into {expected}", value.go_type_name());
    fault(PolicyErrorKind::WrongType, value, at, message)
}

/// The members of an object, none of which repeats.
///
/// # Errors
/// `WrongType`, `DuplicateKey`.
pub(super) fn members<'v>(value: Value<'v>, at: &Path<'_>) -> Result<Entries<'v>, Fault> {
    let Kind::Object(members) = value.kind() else {
        let message = format!("JSON object expected, got {}", value.go_type_name());
        return Err(fault(PolicyErrorKind::WrongType, value, at, message));
    };
    let mut seen = HashSet::with_capacity(members.len());
    for member in members.clone() {
        if !seen.insert(member.key()) {
            let message = format!("Duplicate key {}", quoted_as_go(member.key()));
            return Err(about_key(PolicyErrorKind::DuplicateKey, member, at, message));
        }
    }
    Ok(members)
}

/// The elements of an array.
///
/// # Errors
/// `WrongType`.
pub(super) fn elements<'v>(value: Value<'v>, at: &Path<'_>) -> Result<Items<'v>, Fault> {
    match value.kind() {
        Kind::Array(values) => Ok(values),
        _ => Err(wrong_type(value, at, "a list")),
    }
}

/// A string.
///
/// # Errors
/// `WrongType`.
pub(super) fn string<'v>(value: Value<'v>, at: &Path<'_>) -> Result<&'v str, Fault> {
    match value.kind() {
        Kind::String(text) => Ok(text),
        _ => Err(wrong_type(value, at, "a string")),
    }
}

fn about_key(kind: PolicyErrorKind, member: Entry<'_>, at: &Path<'_>, message: String) -> Fault {
    Fault { kind, message, path: at.to_string(), position: member.key_position() }
}

/// An object of which each key is known, and stands once.
pub(super) struct Fields<'v> {
    value: Value<'v>,
    members: Entries<'v>,
    at: &'v Path<'v>,
}

impl<'v> Fields<'v> {
    /// Reads an object whose keys are all among `known`.
    ///
    /// # Errors
    /// `WrongType`, `DuplicateKey`, `UnknownKey`.
    pub(super) fn read(value: Value<'v>, at: &'v Path<'v>, known: &[&str]) -> Result<Self, Fault> {
        let members = members(value, at)?;
        match members.clone().find(|member| !known.contains(&member.key())) {
            Some(member) => {
                let key = member.key();
                let message = format!("Unknown key {}; {}", quoted_as_go(key), advice(key, known));
                Err(about_key(PolicyErrorKind::UnknownKey, member, at, message))
            }
            None => Ok(Self { value, members, at }),
        }
    }

    /// The value of a key, if it is there.
    pub(super) fn optional(&self, key: &str) -> Option<Value<'v>> {
        self.members.clone().find(|member| member.key() == key).map(Entry::value)
    }

    /// The value of a key.
    ///
    /// # Errors
    /// `KeyCombination` if it is missing.
    pub(super) fn required(&self, key: &str) -> Result<Value<'v>, Fault> {
        self.optional(key).ok_or_else(|| {
            self.combination(format!("Key {} missing in a JSON object", quoted_as_go(key)))
        })
    }

    /// Where the value of `key` stands.
    pub(super) fn at<'k>(&'k self, key: &'k str) -> Path<'k> {
        self.at.key(key)
    }

    /// An error about the keys of this object.
    pub(super) fn combination(&self, message: impl Into<String>) -> Fault {
        fault(PolicyErrorKind::KeyCombination, self.value, self.at, message)
    }

    /// The string at a key that has to be there.
    ///
    /// # Errors
    /// `KeyCombination`, `WrongType`.
    pub(super) fn required_string(&self, key: &str) -> Result<&'v str, Fault> {
        string(self.required(key)?, &self.at(key))
    }

    /// The string at a key, if it is there.
    ///
    /// # Errors
    /// `WrongType`; `InvalidValue` if it is empty.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>, Fault> {
        let Some(value) = self.optional(key) else { return Ok(None) };
        let text = string(value, &self.at(key))?;
        if text.is_empty() {
            return Err(self.invalid(key, value, format!("{key} must not be empty")));
        }
        Ok(Some(text.into()))
    }

    /// The file named at a key, if it is there.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub(super) fn file(&self, key: &str) -> Result<Option<KeySource>, Fault> {
        Ok(self.text(key)?.map(|path| KeySource::File(PathBuf::from(path))))
    }

    /// The base64 data at a key, if it is there.
    ///
    /// # Errors
    /// `WrongType`, `InvalidValue`.
    pub(super) fn data(&self, key: &str) -> Result<Option<KeySource>, Fault> {
        self.optional(key).map(|value| data(value, &self.at(key))).transpose()
    }

    /// The list of files at a key, if it is there.
    ///
    /// # Errors
    /// `WrongType`; `InvalidValue` for an empty path.
    pub(super) fn files(&self, key: &str) -> Result<Option<Vec<KeySource>>, Fault> {
        self.list(key, |value, at| {
            let path = string(value, at)?;
            if path.is_empty() {
                let message = "a path must not be empty";
                return Err(fault(PolicyErrorKind::InvalidValue, value, at, message));
            }
            Ok(KeySource::File(PathBuf::from(path)))
        })
    }

    /// The list of base64 data at a key, if it is there.
    ///
    /// # Errors
    /// `WrongType`, `InvalidValue`.
    pub(super) fn datas(&self, key: &str) -> Result<Option<Vec<KeySource>>, Fault> {
        self.list(key, data)
    }

    /// An error about the value of a key.
    pub(super) fn invalid(&self, key: &str, value: Value<'_>, message: impl Into<String>) -> Fault {
        fault(PolicyErrorKind::InvalidValue, value, &self.at(key), message)
    }

    fn list(
        &self,
        key: &str,
        read: impl Fn(Value<'_>, &Path<'_>) -> Result<KeySource, Fault>,
    ) -> Result<Option<Vec<KeySource>>, Fault> {
        let Some(value) = self.optional(key) else { return Ok(None) };
        let at = self.at(key);
        let values = elements(value, &at)?.enumerate();
        values
            .map(|(index, value)| read(value, &at.index(index)))
            .collect::<Result<_, _>>()
            .map(Some)
    }
}

fn data(value: Value<'_>, at: &Path<'_>) -> Result<KeySource, Fault> {
    base64::decode(string(value, at)?).map(KeySource::Data).map_err(|error| {
        let message = format!("{error}; it has to be standard base64 with padding");
        fault(PolicyErrorKind::InvalidValue, value, at, message)
    })
}

/// What to write instead of an unknown key.
fn advice(key: &str, known: &[&str]) -> String {
    match known.iter().find(|known| known.eq_ignore_ascii_case(key)) {
        Some(meant) => format!("did you mean \"{meant}\"?"),
        None => format!("known here: {}", known.join(", ")),
    }
}
