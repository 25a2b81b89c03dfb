//! What the parser was looking for, in our words and in Go's.

use crate::quote::quoted_byte;

/// What the parser was looking for when it found something else.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    /// No byte order mark before the document.
    NoMark,
    Value,
    /// The next character of a word.
    Word {
        word: &'static str,
        next: u8,
    },
    Key,
    Colon,
    /// A comma, or the end of an object.
    Entry,
    /// A comma, or the end of an array.
    Item,
    End,
    Number,
    Fraction,
    Exponent,
    /// The end of a string, which is not there.
    StringEnd,
    /// No control characters in a string.
    NoControl,
    Escape,
    /// A digit of `\uXXXX`.
    Hexadecimal,
    Utf8,
    /// The other half of a pair of surrogates.
    Partner,
}

impl Expected {
    /// Our words.
    pub(crate) fn in_plain_words(self) -> &'static str {
        match self {
            Self::NoMark => "JSON does not start with a byte order mark",
            Self::Value | Self::Word { .. } => "expected a value",
            Self::Key => "expected a key in quotation marks",
            Self::Colon => "expected a colon after the key",
            Self::Entry => "expected a comma or the end of the object",
            Self::Item => "expected a comma or the end of the array",
            Self::End => "unexpected text after the end of the document",
            Self::Number => "this is not a number",
            Self::Fraction => "expected a digit after the decimal point",
            Self::Exponent => "expected a digit in the exponent",
            Self::StringEnd => "the string does not end",
            Self::NoControl => "control characters in strings must be escaped",
            Self::Escape => "there is no such escape",
            Self::Hexadecimal => "\\u needs four hexadecimal digits",
            Self::Utf8 => "the text is not UTF-8",
            Self::Partner => "a surrogate without its partner",
        }
    }

    /// Go's words for a byte that does not fit, `None` for the end of the document.
    ///
    /// The last two are ours: Go lets such text pass.
    ///
    /// Source: Go's `encoding/json`, `scanner.go`.
    pub(crate) fn in_go_words(self, found: Option<u8>) -> String {
        let context = match self {
            Self::Utf8 => return "invalid UTF-8".into(),
            Self::Partner => return "lone surrogate in string literal".into(),
            Self::NoMark | Self::Value => "looking for beginning of value",
            Self::Word { .. } => "in literal",
            Self::Key => "looking for beginning of object key string",
            Self::Colon => "after object key",
            Self::Entry => "after object key:value pair",
            Self::Item => "after array element",
            Self::End => "after top-level value",
            Self::Number => "in numeric literal",
            Self::Fraction => "after decimal point in numeric literal",
            Self::Exponent => "in exponent of numeric literal",
            Self::StringEnd | Self::NoControl => "in string literal",
            Self::Escape => "in string escape code",
            Self::Hexadecimal => "in \\u hexadecimal character escape",
        };
        let Some(byte) = found else { return "unexpected end of JSON input".into() };
        let found = format!("invalid character {} {context}", quoted_byte(byte));
        match self {
            Self::Word { word, next } => {
                format!("{found} {word} (expecting '{}')", char::from(next))
            }
            _ => found,
        }
    }
}
