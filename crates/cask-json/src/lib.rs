#![doc = include_str!("../README.md")]

pub mod base64;

mod document;
mod error;
mod fields;
mod fold;
mod node;
mod parse;
mod path;
mod position;
mod quote;
mod rules;
mod scan;
mod syntax;
mod value;
mod write;

pub use document::Document;
pub use error::{Error, ErrorKind, Place};
pub use fields::Fields;
pub use fold::{fold, folds_equal};
pub use node::{Node, Object};
pub use parse::parse;
pub use path::{push_index, push_key};
pub use position::Position;
pub use quote::{quoted, quoted_as_go};
pub use rules::{BadText, Duplicates, Rules, Words};
pub use value::{Entries, Entry, Items, Kind, Value};
pub use write::{Style, Writer, compact};
