//! A document as a tree.

/// Where something stands in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Bytes before it.
    pub(crate) offset: usize,
    /// Its line, from 1.
    pub(crate) line: u32,
    /// Its column in bytes, from 1.
    pub(crate) column: u32,
}

/// A value and where it begins.
#[derive(Debug)]
pub(crate) struct Value {
    pub(crate) position: Position,
    pub(crate) kind: Kind,
}

/// What a value is.
#[derive(Debug)]
pub(crate) enum Kind {
    Null,
    Bool,
    Number,
    String(String),
    Array(Vec<Value>),
    Object(Vec<Member>),
}

/// One member of an object, in the order of the text; keys may repeat.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) position: Position,
    pub(crate) key: String,
    pub(crate) value: Value,
}

/// A text that is not JSON.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) position: Position,
    pub(crate) message: String,
}

impl Kind {
    /// The JSON name of the type.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Number => "number",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }
}
