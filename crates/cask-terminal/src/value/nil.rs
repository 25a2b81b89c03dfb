//! Lists and maps that may be nil, which Go prints like empty ones and writes as `null` in JSON.
//!
//! For `#[serde(serialize_with = "…")]` on an `Option` of a list or a map:
//!
//! ```
//! use cask_terminal::value::{JsonStyle, Value, nil, to_json};
//! use std::collections::BTreeMap;
//!
//! #[derive(serde::Serialize)]
//! #[serde(rename = "inspect.Output")]
//! struct Output {
//!     #[serde(rename = "Labels", serialize_with = "nil::map")]
//!     labels: Option<BTreeMap<String, String>>,
//!     #[serde(rename = "Env", serialize_with = "nil::list")]
//!     env: Option<Vec<String>>,
//! }
//!
//! let value = Value::of(&Output { labels: None, env: None })?;
//! assert_eq!(value.to_string(), "{map[] []}");
//! assert_eq!(to_json(&value, JsonStyle::compact()), r#"{"Labels":null,"Env":null}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use serde::{Serialize, Serializer};

pub(crate) const LIST: &str = "\0nil list";
pub(crate) const MAP: &str = "\0nil map";

/// Serialises `None` as Go's nil slice. To any other serializer it is a unit.
///
/// # Errors
///
/// Those of the serializer.
pub fn list<T: Serialize, S: Serializer>(
    value: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => value.serialize(serializer),
        None => serializer.serialize_newtype_struct(LIST, &()),
    }
}

/// Serialises `None` as Go's nil map. To any other serializer it is a unit.
///
/// # Errors
///
/// Those of the serializer.
pub fn map<T: Serialize, S: Serializer>(
    value: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => value.serialize(serializer),
        None => serializer.serialize_newtype_struct(MAP, &()),
    }
}
