//! What is shown of a container, as values of Go.

use std::collections::BTreeMap;
use std::time::Duration;

use cask_terminal::value::{Time, nil};
use serde::ser::{SerializeMap as _, SerializeSeq as _, SerializeStruct as _};
use serde::{Serialize, Serializer};

/// A part of what is shown, with its fields in podman's order.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// A pointer to nothing.
    Null,
    /// A list of nothing: `null` in JSON, and in a template as an empty one.
    NilList,
    /// A map of nothing, likewise.
    NilMap,
    Bool(bool),
    Number(i64),
    Text(String),
    /// A moment in RFC 3339.
    Time(String),
    /// So long.
    Duration(Duration),
    List(Vec<Part>),
    /// In their order.
    Fields(Vec<(&'static str, Part)>),
    /// By name.
    Map(Vec<(String, Part)>),
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => to.serialize_none(),
            Self::NilList => nil::list(&None::<()>, to),
            Self::NilMap => nil::map(&None::<()>, to),
            Self::Bool(value) => to.serialize_bool(*value),
            Self::Number(value) => to.serialize_i64(*value),
            Self::Text(value) => to.serialize_str(value),
            Self::Time(value) => Time(value.clone()).serialize(to),
            Self::Duration(value) => cask_terminal::value::Duration::from(*value).serialize(to),
            Self::List(parts) => {
                let mut list = to.serialize_seq(Some(parts.len()))?;
                parts.iter().try_for_each(|part| list.serialize_element(part))?;
                list.end()
            }
            Self::Fields(fields) => {
                let mut all = to.serialize_struct("define.InspectContainerData", fields.len())?;
                fields.iter().try_for_each(|(name, part)| all.serialize_field(name, part))?;
                all.end()
            }
            Self::Map(fields) => {
                let mut map = to.serialize_map(Some(fields.len()))?;
                fields.iter().try_for_each(|(name, part)| map.serialize_entry(name, part))?;
                map.end()
            }
        }
    }
}

impl Part {
    /// A list, which Go has made of nothing where nothing is in it.
    pub(crate) fn list_or_nil(parts: impl Into<Self>) -> Self {
        match parts.into() {
            Self::List(parts) if parts.is_empty() => Self::NilList,
            parts => parts,
        }
    }

    /// A map, likewise.
    pub(crate) fn map_or_nil(parts: impl Into<Self>) -> Self {
        match parts.into() {
            Self::Map(parts) if parts.is_empty() => Self::NilMap,
            parts => parts,
        }
    }
}

macro_rules! parts_from {
    ($($type:ty => |$value:ident| $make:expr,)*) => {$(
        impl From<$type> for Part {
            fn from($value: $type) -> Self {
                $make
            }
        }
    )*};
}

parts_from! {
    bool => |value| Self::Bool(value),
    u16 => |value| Self::Number(value.into()),
    u32 => |value| Self::Number(value.into()),
    i32 => |value| Self::Number(value.into()),
    i64 => |value| Self::Number(value),
    u64 => |value| Self::Number(i64::try_from(value).unwrap_or(i64::MAX)),
    Duration => |value| Self::Duration(value),
    &str => |value| Self::Text(value.to_owned()),
    String => |value| Self::Text(value),
    &String => |value| Self::Text(value.clone()),
    Vec<String> => |value| Self::List(value.into_iter().map(Self::Text).collect()),
    &Vec<String> => |value| value.clone().into(),
    Vec<Part> => |value| Self::List(value),
    &BTreeMap<String, String> => |value| {
        Self::Map(value.iter().map(|(name, value)| (name.clone(), value.into())).collect())
    },
}

/// Fields in their order.
macro_rules! fields {
    ($($name:literal: $value:expr,)*) => {
        Part::Fields(vec![$(($name, Part::from($value))),*])
    };
}

pub(in crate::commands::containers) use fields;
