//! Quoting of untrusted text, so that a message stays one harmless line.

use std::fmt::Write as _;

/// How many bytes of a text [`quoted`] shows at the most.
const MAX_BYTES: usize = 120;

/// How many characters of a text [`quoted_as_go`] shows.
const MAX_CHARACTERS: usize = 200;

/// Quotes untrusted text for a message: in quotation marks, with Rust's escapes, and cut after at
/// most 120 bytes.
///
/// ```
/// assert_eq!(cask_json::quoted("a\n\u{1b}[31m"), r#""a\n\u{1b}[31m""#);
/// ```
pub fn quoted(text: &str) -> String {
    if text.len() <= MAX_BYTES {
        return format!("{text:?}");
    }
    let mut end = MAX_BYTES;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{:?}…", &text[..end])
}

/// Quotes untrusted text as Go's `%q` does, and cuts it after 200 characters: for messages whose
/// wording is that of the Go tools.
///
/// Which characters can be printed is decided by Rust's Unicode tables, which may be newer than
/// those of a Go release.
///
/// Source: Go's `strconv.Quote`.
///
/// ```
/// assert_eq!(cask_json::quoted_as_go("a\n\u{1b}[31m"), r#""a\n\x1b[31m""#);
/// ```
pub fn quoted_as_go(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_CHARACTERS) + 2);
    out.push('"');
    for (count, c) in text.chars().enumerate() {
        if count == MAX_CHARACTERS {
            out.push('…');
            break;
        }
        push_escaped(&mut out, c, '"');
    }
    out.push('"');
    out
}

/// Quotes one byte as Go's scanner does: as if it were a Latin-1 character.
///
/// Source: Go's `encoding/json`, `quoteChar`.
pub(crate) fn quoted_byte(byte: u8) -> String {
    let mut out = String::from("'");
    push_escaped(&mut out, char::from(byte), '\'');
    out.push('\'');
    out
}

fn push_escaped(out: &mut String, c: char, delimiter: char) {
    match c {
        '\\' => out.push_str("\\\\"),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        _ if c == delimiter => out.extend(['\\', c]),
        _ if is_print(c) => out.push(c),
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

/// Whether Go's `unicode.IsPrint` holds.
fn is_print(c: char) -> bool {
    // `escape_debug` of a text leaves exactly the printable characters alone, but for quotation
    // marks, and for one that joins the character before it if there is none: so one is put there.
    let mut pair = [b'a'; 5];
    let length = 1 + c.encode_utf8(&mut pair[1..]).len();
    let pair = str::from_utf8(&pair[..length]).expect("two characters");
    matches!(c, '"' | '\'') || pair.escape_debug().nth(1) == Some(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_as_go_does() {
        #[track_caller]
        fn check(input: &str, expected: &str) {
            assert_eq!(quoted_as_go(input), expected);
        }
        check("", r#""""#);
        check("a b", r#""a b""#);
        check("a\"b'c\\", r#""a\"b'c\\""#);
        check("\n\t\x1b[31m\x7f", r#""\n\t\x1b[31m\x7f""#);
        check("é😀\u{202e}\u{e0001}", r#""é😀\u202e\U000e0001""#);
        check("e\u{301} \u{a0}\u{feff}", "\"e\u{301} \\u00a0\\ufeff\"");
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

    #[test]
    fn long_text_is_cut_between_characters() {
        #[track_caller]
        fn check(input: &str, expected: &str) {
            assert_eq!(quoted(input), expected);
        }
        check("a\"b\n", r#""a\"b\n""#);
        check(&"x".repeat(120), &format!("\"{}\"", "x".repeat(120)));
        check(&"x".repeat(121), &format!("\"{}\"…", "x".repeat(120)));
        check(&"ééé".repeat(40), &format!("\"{}\"…", "é".repeat(60)));
        check(&format!("x{}", "é".repeat(60)), &format!("\"x{}\"…", "é".repeat(59)));
    }
}
