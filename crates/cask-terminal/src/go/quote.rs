//! Go's string literals: `strconv.Quote` and `strconv.Unquote`.

/// Tells whether Go's `unicode.IsPrint` holds: letters, marks, numbers, punctuation, symbols and
/// the ASCII space.
///
/// The answer comes from Rust's own Unicode tables, so characters newer than the Go release that
/// one compares with may differ.
pub(crate) fn is_print(character: char) -> bool {
    // `escape_debug` leaves exactly the printable characters alone, except that it escapes what
    // joins to the character before it: put something before it.
    match character {
        ' ' | '"' | '\'' | '\\' => true,
        _ => {
            let mut pair = [0; 5];
            pair[0] = b'a';
            let length = 1 + character.encode_utf8(&mut pair[1..]).len();
            let pair = std::str::from_utf8(&pair[..length]).unwrap_or_default();
            pair.escape_debug().nth(1) == Some(character)
        }
    }
}

/// One piece of a Go string: a character, or a byte that is no part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Character(char),
    Byte(u8),
}

fn pieces(bytes: &[u8]) -> impl Iterator<Item = Piece> {
    bytes.utf8_chunks().flat_map(|chunk| {
        let characters = chunk.valid().chars().map(Piece::Character);
        characters.chain(chunk.invalid().iter().copied().map(Piece::Byte))
    })
}

/// Quotes as `strconv.Quote` does; `ascii_only` makes it `strconv.QuoteToASCII`.
pub(crate) fn quote(bytes: &[u8], ascii_only: bool) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for piece in pieces(bytes) {
        push_escaped(&mut out, piece, '"', ascii_only);
    }
    out.push('"');
    out
}

/// Quotes a piece of text as `strconv.Quote` does.
pub(crate) fn quote_text(text: &str) -> String {
    quote(text.as_bytes(), false)
}

/// Quotes a number as a Go character literal; what is no character becomes U+FFFD.
pub(crate) fn quote_code_point(code_point: u64, ascii_only: bool) -> String {
    let character = u32::try_from(code_point).ok().and_then(char::from_u32);
    let mut out = String::from("'");
    let piece = Piece::Character(character.unwrap_or(char::REPLACEMENT_CHARACTER));
    push_escaped(&mut out, piece, '\'', ascii_only);
    out.push('\'');
    out
}

fn push_escaped(out: &mut String, piece: Piece, delimiter: char, ascii_only: bool) {
    let character = match piece {
        Piece::Byte(byte) => return out.push_str(&format!("\\x{byte:02x}")),
        Piece::Character(character) => character,
    };
    match character {
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        '\\' => out.push_str("\\\\"),
        _ if character == delimiter => {
            out.push('\\');
            out.push(character);
        }
        _ if is_print(character) && (character.is_ascii() || !ascii_only) => out.push(character),
        _ => match u32::from(character) {
            code @ (0..0x20 | 0x7f) => out.push_str(&format!("\\x{code:02x}")),
            code @ 0..0x1_0000 => out.push_str(&format!("\\u{code:04x}")),
            code => out.push_str(&format!("\\U{code:08x}")),
        },
    }
}

/// Reads a Go string literal, `"…"` with escapes or `` `…` `` without; `None` if it is not one.
///
/// Source: `strconv.Unquote`. A raw literal loses its carriage returns.
pub(crate) fn unquote(literal: &str) -> Option<Vec<u8>> {
    if let Some(raw) = literal.strip_prefix('`') {
        let raw = raw.strip_suffix('`')?;
        return (!raw.contains('`')).then(|| raw.bytes().filter(|byte| *byte != b'\r').collect());
    }
    let mut rest = literal.strip_prefix('"')?.strip_suffix('"').filter(|_| literal.len() > 1)?;
    let mut out = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let (piece, tail) = unquote_char(rest, '"')?;
        match piece {
            Unquoted::Character(character) => {
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            Unquoted::Byte(byte) => out.push(byte),
        }
        rest = tail;
    }
    Some(out)
}

/// What one element of a literal stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unquoted {
    Character(char),
    /// From `\x41` or `\101`: a byte, whether or not it makes UTF-8 with its neighbours.
    Byte(u8),
}

impl Unquoted {
    /// The number that a character literal has.
    pub(crate) fn code_point(self) -> u32 {
        match self {
            Self::Character(character) => u32::from(character),
            Self::Byte(byte) => u32::from(byte),
        }
    }
}

/// Reads one character or escape of a literal between `delimiter`s, and returns what follows it.
pub(crate) fn unquote_char(text: &str, delimiter: char) -> Option<(Unquoted, &str)> {
    let mut characters = text.chars();
    let first = characters.next()?;
    if first == delimiter || first == '\n' {
        return None;
    }
    if first != '\\' {
        return Some((Unquoted::Character(first), characters.as_str()));
    }
    let escape = characters.next()?;
    let rest = characters.as_str();
    let plain = |character| Some((Unquoted::Character(character), rest));
    match escape {
        'a' => plain('\x07'),
        'b' => plain('\x08'),
        'f' => plain('\x0c'),
        'n' => plain('\n'),
        'r' => plain('\r'),
        't' => plain('\t'),
        'v' => plain('\x0b'),
        '\\' => plain('\\'),
        _ if escape == delimiter => plain(escape),
        'x' => {
            let (value, rest) = digits(rest, 2, 16)?;
            Some((Unquoted::Byte(u8::try_from(value).ok()?), rest))
        }
        'u' | 'U' => {
            let (value, rest) = digits(rest, if escape == 'u' { 4 } else { 8 }, 16)?;
            Some((Unquoted::Character(char::from_u32(value)?), rest))
        }
        '0'..='7' => {
            let start = text.get(1..)?;
            let (value, rest) = digits(start, 3, 8)?;
            Some((Unquoted::Byte(u8::try_from(value).ok()?), rest))
        }
        _ => None,
    }
}

fn digits(text: &str, count: usize, radix: u32) -> Option<(u32, &str)> {
    let (number, rest) = text.split_at_checked(count)?;
    let good = number.chars().all(|digit| digit.is_digit(radix));
    let value = u32::from_str_radix(number, radix).ok().filter(|_| good)?;
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_as_go_quotes_it() {
        let check = |input: &[u8], expected: &str| assert_eq!(quote(input, false), expected);
        check(b"", r#""""#);
        check(b"a\"b\\c", r#""a\"b\\c""#);
        check(b"it's", r#""it's""#);
        check(b"\x00\x07\x08\x0c\n\r\t\x0b\x1b\x7f", r#""\x00\a\b\f\n\r\t\v\x1b\x7f""#);
        check("é☺\u{301}".as_bytes(), "\"é☺\u{301}\"");
        check("\u{ad}\u{2028}\u{feff}\u{10ffff}".as_bytes(), r#""\u00ad\u2028\ufeff\U0010ffff""#);
        check("a\u{a0}b\u{3000}".as_bytes(), r#""a\u00a0b\u3000""#);
        check(b"\xff\xc3(", r#""\xff\xc3(""#);
    }

    #[test]
    fn ascii_quoting_escapes_the_rest() {
        assert_eq!(quote("é☺😀".as_bytes(), true), r#""\u00e9\u263a\U0001f600""#);
        assert_eq!(quote_code_point(0x1f600, true), r"'\U0001f600'");
        assert_eq!(quote_code_point(u64::from(b'\''), false), r"'\''");
        assert_eq!(quote_code_point(u64::MAX, false), "'\u{fffd}'");
    }

    #[test]
    fn literals_are_read() {
        let check = |literal: &str, expected: Option<&[u8]>| {
            assert_eq!(unquote(literal).as_deref(), expected, "{literal}");
        };
        check(r#""""#, Some(b""));
        check(r#""a\tb""#, Some(b"a\tb"));
        check(r#""\x41\101\u00e9\U0001f600""#, Some("AAé😀".as_bytes()));
        check(r#""\xff""#, Some(b"\xff"));
        check(r#""\"'""#, Some(b"\"'"));
        check("`a\\n\r\nb`", Some(b"a\\n\nb"));
        check("\"", None);
        check(r#""\'""#, None);
        check(r#""\q""#, None);
        check(r#""\x4""#, None);
        check(r#""\x+4""#, None);
        check(r#""\400""#, None);
        check(r#""\ud800""#, None);
        check("\"a\nb\"", None);
        check("`a", None);
        check("`a`b`", None);
    }
}
