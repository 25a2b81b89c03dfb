//! Quoting of text that came from a file, so that a message stays one harmless line.

use std::fmt::Write as _;

/// How many characters of a text a message shows.
const SHOWN: usize = 200;

/// Quotes `text` as Go's `%q` does, and cuts it after 200 characters.
///
/// Source: Go's `strconv.Quote`.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(SHOWN) + 2);
    out.push('"');
    for (count, c) in text.chars().enumerate() {
        if count == SHOWN {
            out.push('…');
            break;
        }
        match c {
            '"' => out.push_str("\\\""),
            _ => push_escaped(&mut out, c),
        }
    }
    out.push('"');
    out
}

/// Quotes one byte as Go's scanner does: as if it were a Latin-1 character.
///
/// Source: Go's `encoding/json`, `quoteChar`.
pub(super) fn quoted_byte(byte: u8) -> String {
    let mut out = String::from("'");
    match byte {
        b'\'' => out.push_str("\\'"),
        _ => push_escaped(&mut out, char::from(byte)),
    }
    out.push('\'');
    out
}

fn push_escaped(out: &mut String, c: char) {
    match c {
        '\\' => out.push_str("\\\\"),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        '"' | '\'' => out.push(c),
        // `escape_debug` knows which characters print.
        _ if c.escape_debug().len() == 1 => out.push(c),
        _ => {
            let code = u32::from(c);
            let written = match code {
                0..0x80 => write!(out, "\\x{code:02x}"),
                0x80..0x1_0000 => write!(out, "\\u{code:04x}"),
                _ => write!(out, "\\U{code:08x}"),
            };
            written.expect("writing to a String cannot fail");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_as_go_does() {
        #[track_caller]
        fn check(input: &str, expected: &str) {
            assert_eq!(quoted(input), expected);
        }
        check("", r#""""#);
        check("a b", r#""a b""#);
        check("a\"b'c\\", r#""a\"b'c\\""#);
        check("\n\t\x1b[31m\x7f", r#""\n\t\x1b[31m\x7f""#);
        check("é😀\u{202e}\u{e0001}", r#""é😀\u202e\U000e0001""#);
        check(&"x".repeat(300), &format!("\"{}…\"", "x".repeat(200)));
    }

    #[test]
    fn quotes_bytes_as_go_does() {
        #[track_caller]
        fn check(input: u8, expected: &str) {
            assert_eq!(quoted_byte(input), expected);
        }
        check(b'a', "'a'");
        check(b'\'', r"'\''");
        check(b'"', "'\"'");
        check(1, r"'\x01'");
        check(0xef, "'ï'");
        check(0x80, r"'\u0080'");
    }
}
