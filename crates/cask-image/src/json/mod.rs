//! JSON as the documents of this crate need it: strict, ordered, bounded, with offsets.
//!
//! A general deserializer does not do: it ignores duplicates of keys that a struct does not
//! know, forgets where a value stood, and knows nothing of the readers written in Go, which
//! match keys without regard to case.

mod fields;
mod fold;
mod parse;
mod value;
mod write;

pub(crate) use fields::{Fields, strings};
pub(crate) use fold::{fold, folds_equal};
pub(crate) use parse::{Rules, parse};
pub(crate) use value::{Document, Entry, Fault, Kind, Value, push_key};
pub(crate) use write::{Writer, compact};
