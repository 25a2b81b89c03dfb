//! A strict JSON reader that knows where everything stands.
//!
//! `serde_json` keeps the last of two equal keys and forgets positions. A policy must not be read
//! that way, so this reader keeps every member in order, with its line and column.

mod quote;
mod reader;
mod value;

pub(crate) use quote::quoted;
pub(crate) use reader::read;
pub(crate) use value::{Kind, Member, Position, SyntaxError, Value};
