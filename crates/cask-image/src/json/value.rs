//! A parsed JSON document.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::error::{ManifestError, ManifestErrorKind, quoted};

/// One value and where it stands.
#[derive(Debug)]
pub(crate) struct Value<'a> {
    /// The offset of the first byte.
    pub(crate) start: u32,
    /// The offset behind the last byte.
    pub(crate) end: u32,
    pub(crate) kind: Kind<'a>,
}

#[derive(Debug)]
pub(crate) enum Kind<'a> {
    Null,
    Bool(bool),
    /// The text of the number is its bytes in the document.
    Number,
    String(Cow<'a, str>),
    Array(Vec<Value<'a>>),
    Object(Vec<Entry<'a>>),
}

/// A key of an object and its value, in the document's order.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) key: Cow<'a, str>,
    /// The offset of the key's quotation mark.
    pub(crate) key_start: u32,
    pub(crate) value: Value<'a>,
}

impl Value<'_> {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }

    /// What the value is, for an error message.
    pub(crate) fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Null => "null",
            Kind::Bool(_) => "a boolean",
            Kind::Number => "a number",
            Kind::String(_) => "a string",
            Kind::Array(_) => "an array",
            Kind::Object(_) => "an object",
        }
    }

    /// A fault of this value.
    pub(crate) fn fault(&self, kind: ManifestErrorKind, detail: impl Into<String>) -> Fault {
        Fault { kind, at: self.start, below: None, detail: detail.into() }
    }

    /// A fault of a value that is missing in this object.
    pub(crate) fn fault_below(
        &self,
        field: &'static str,
        kind: ManifestErrorKind,
        detail: impl Into<String>,
    ) -> Fault {
        Fault { kind, at: self.start, below: Some(field), detail: detail.into() }
    }

    pub(crate) fn wrong_type(&self, expected: &str) -> Fault {
        let detail = format!("expected {expected}, found {}", self.type_name());
        self.fault(ManifestErrorKind::WrongType, detail)
    }
}

/// What is wrong with a value, before it is known where that stands.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) kind: ManifestErrorKind,
    /// The offset of the value's first byte.
    pub(crate) at: u32,
    /// The field that is missing in the object at that offset.
    pub(crate) below: Option<&'static str>,
    pub(crate) detail: String,
}

/// A whole document: its bytes and what they say.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) root: Value<'a>,
}

impl Document<'_> {
    /// The bytes of a value.
    pub(crate) fn text(&self, value: &Value<'_>) -> &[u8] {
        &self.bytes[value.start as usize..value.end as usize]
    }

    /// Finds the path of a faulty value by its offset.
    pub(crate) fn error(&self, fault: Fault) -> ManifestError {
        let mut path = path_to(&self.root, fault.at);
        if let Some(field) = fault.below {
            push_key(&mut path, field);
        }
        ManifestError::new(fault.kind, path, self.bytes, fault.at as usize, fault.detail)
    }
}

/// The path of the innermost value (or key) that starts at an offset.
fn path_to(root: &Value<'_>, at: u32) -> String {
    let mut path = String::new();
    let mut value = root;
    while value.start != at {
        match &value.kind {
            Kind::Array(items) => {
                let Some(index) = items.iter().position(|v| (v.start..v.end).contains(&at)) else {
                    break;
                };
                push_index(&mut path, index);
                value = &items[index];
            }
            Kind::Object(entries) => {
                let holds = |e: &&Entry<'_>| (e.key_start..e.value.end).contains(&at);
                let Some(entry) = entries.iter().find(holds) else { break };
                push_key(&mut path, &entry.key);
                if entry.key_start == at {
                    break;
                }
                value = &entry.value;
            }
            _ => break,
        }
    }
    path
}

pub(crate) fn push_index(path: &mut String, index: usize) {
    write!(path, "[{index}]").expect("writing to a string does not fail");
}

pub(crate) fn push_key(path: &mut String, key: &str) {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if key.is_empty() || !key.bytes().all(plain) || key.len() > 60 {
        write!(path, "[{}]", quoted(key)).expect("writing to a string does not fail");
        return;
    }
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}
