//! What Go's standard library prints, to the byte: quoting, numbers, `fmt` verbs.

mod float;
mod format;
mod number;
mod print;
mod quote;
mod sink;
mod verb;

pub(crate) use float::format_float;
pub(crate) use format::rune_count;
pub(crate) use number::{parse_float, parse_signed, parse_unsigned};
pub(crate) use print::{print, print_line, print_value, sprintf};
pub(crate) use quote::{is_print, quote, quote_code_point, quote_text, unquote, unquote_char};
pub(crate) use sink::Sink;
