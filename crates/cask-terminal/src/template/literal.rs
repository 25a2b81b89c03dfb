//! Number and character literals of a template.

use super::lex::Kind;
use super::node::Number;
use crate::go::{parse_float, parse_signed, parse_unsigned, quote_text, unquote_char};

/// Reads a literal; the error is Go's message.
pub(super) fn number(text: &str, kind: Kind) -> Result<Number, String> {
    if kind == Kind::CharacterConstant {
        return character(text);
    }
    if kind == Kind::ComplexConstant || text.ends_with('i') {
        return Err(format!("complex numbers are not supported: {}", quote_text(text)));
    }
    let int = parse_signed(text);
    if int.is_some() || parse_unsigned(text).is_some() {
        return Ok(Number { text: text.to_owned(), int, float: None });
    }
    let Some(float) = parse_float(text) else {
        return Err(format!("illegal number syntax: {}", quote_text(text)));
    };
    if !text.contains(['.', 'e', 'E', 'p', 'P']) {
        return Err(format!("integer overflow: {}", quote_text(text)));
    }
    Ok(Number { text: text.to_owned(), int: whole(float), float: Some(float) })
}

/// The integer that a float is, if it is one.
fn whole(float: f64) -> Option<i64> {
    let range = -9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0;
    #[expect(clippy::cast_possible_truncation, reason = "whole and in range, as just tested")]
    (float.fract() == 0.0 && range.contains(&float)).then_some(float as i64)
}

fn character(text: &str) -> Result<Number, String> {
    let syntax = || "invalid syntax".to_owned();
    let (unquoted, tail) = unquote_char(&text[1..], '\'').ok_or_else(syntax)?;
    if tail != "'" {
        return Err(format!("malformed character constant: {text}"));
    }
    Ok(Number { text: text.to_owned(), int: Some(unquoted.code_point().into()), float: None })
}
