//! Base64, as documents hold bytes: standard, and that of URLs.

use std::fmt;

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Text that is not base64; prints as Go's `CorruptInputError` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    offset: usize,
}

impl Error {
    /// The offset in the text of what is illegal.
    pub fn offset(self) -> usize {
        self.offset
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "illegal base64 data at input byte {}", self.offset)
    }
}

impl std::error::Error for Error {}

/// Encodes with the standard alphabet and padding.
pub fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0u32, |bits, &b| bits << 8 | u32::from(b)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            if digit <= chunk.len() {
                out.push(char::from(STANDARD[(bits >> (18 - 6 * digit)) as usize & 63]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

/// Decodes as Go does: standard alphabet, padding required, line breaks ignored anywhere. Bits
/// after the last whole byte are ignored.
///
/// # Errors
/// The offset of the first thing that is illegal.
///
/// Source: Go's `encoding/base64`, `StdEncoding`, which `encoding/json` uses for byte strings.
pub fn decode(text: &str) -> Result<Vec<u8>, Error> {
    let values = values(STANDARD);
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let mut input = text.bytes().enumerate().filter(|(_, byte)| !matches!(byte, b'\n' | b'\r'));
    loop {
        let mut bits = 0_u32;
        for count in 0..4 {
            let Some((offset, byte)) = input.next() else {
                return if count == 0 {
                    Ok(out)
                } else {
                    Err(Error { offset: text.len() - count })
                };
            };
            if byte == b'=' {
                padding(&mut input, count, offset, text.len())?;
                let bytes = (bits << (6 * (4 - count))).to_be_bytes();
                out.extend_from_slice(&bytes[1..count]);
                return Ok(out);
            }
            bits = bits << 6 | values[usize::from(byte)].ok_or(Error { offset })?;
        }
        out.extend_from_slice(&bits.to_be_bytes()[1..]);
    }
}

/// Checks what follows a `=` at `offset` after `count` digits of a group.
fn padding(
    input: &mut impl Iterator<Item = (usize, u8)>,
    count: usize,
    offset: usize,
    end: usize,
) -> Result<(), Error> {
    match count {
        0 | 1 => return Err(Error { offset }),
        2 => match input.next() {
            Some((_, b'=')) => {}
            Some((offset, _)) => return Err(Error { offset }),
            None => return Err(Error { offset: end }),
        },
        _ => {}
    }
    input.next().map_or(Ok(()), |(offset, _)| Err(Error { offset }))
}

/// Decodes the standard alphabet where there is one text for each value: with padding, without
/// line breaks, with no bits left over. `None` for any other spelling.
pub fn decode_canonical(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let digits = text.strip_suffix("==").or(text.strip_suffix('=')).unwrap_or(text);
    decode_digits(digits.as_bytes(), STANDARD)
}

/// Decodes the alphabet of URLs without padding, line breaks, and bits left over, as in a JWS.
/// `None` for any other spelling.
pub fn decode_url(text: &str) -> Option<Vec<u8>> {
    decode_digits(text.as_bytes(), URL)
}

fn decode_digits(digits: &[u8], alphabet: &[u8; 64]) -> Option<Vec<u8>> {
    let values = values(alphabet);
    let mut out = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for chunk in digits.chunks(4) {
        let bits =
            chunk.iter().try_fold(0u32, |bits, &d| Some(bits << 6 | values[usize::from(d)]?))?;
        let bits = bits << (6 * (4 - chunk.len()));
        let length = match chunk.len() {
            4 => 3,
            3 if bits & 0xff == 0 => 2,
            2 if bits & 0xffff == 0 => 1,
            _ => return None,
        };
        out.extend_from_slice(&bits.to_be_bytes()[1..=length]);
    }
    Some(out)
}

/// The value of each byte that is a digit.
fn values(alphabet: &[u8; 64]) -> [Option<u32>; 256] {
    let mut values = [None; 256];
    for (value, &digit) in (0u32..).zip(alphabet) {
        values[usize::from(digit)] = Some(value);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_round_trip() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"{}", "e30="),
            (&[0xfb, 0xff], "+/8="),
        ] {
            assert_eq!(encode(bytes), text);
            assert_eq!(decode(text).as_deref(), Ok(bytes));
            assert_eq!(decode_canonical(text).as_deref(), Some(bytes));
        }
        assert_eq!(decode_url("-_8").as_deref(), Some(&[0xfb, 0xff][..]));
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in
            ["Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Z===", "====", "Zg==\n", "-_8=", "Zm9v="]
        {
            assert_eq!(decode_canonical(text), None, "{text:?}");
        }
        for text in ["Z", "Zg==", "+/8"] {
            assert_eq!(decode_url(text), None, "{text:?}");
        }
    }

    #[test]
    fn decodes_what_go_decodes() {
        #[track_caller]
        fn check(text: &str, expected: Result<&[u8], usize>) {
            assert_eq!(
                decode(text).map_err(Error::offset),
                expected.map(<[u8]>::to_vec),
                "{text:?}"
            );
        }
        check("", Ok(b""));
        check("Zg==", Ok(b"f"));
        check("Zm8=", Ok(b"fo"));
        check("Zm9v", Ok(b"foo"));
        check("Zm9vYmFy", Ok(b"foobar"));
        check("+/+/", Ok(&[0xfb, 0xff, 0xbf]));
        check("Zm9=", Ok(b"fo"));
        check("Z\nm\r\n8=\n", Ok(b"fo"));
        check("Zh==", Ok(b"f"));
        check("Zm8", Err(0));
        check("Zm9vZm8", Err(4));
        check("Zg=", Err(3));
        check("Zg=x", Err(3));
        check("Z===", Err(1));
        check("=", Err(0));
        check("Zg==Zg==", Err(4));
        check("Zm8=\nx", Err(5));
        check("Zm9v-_==", Err(4));
        check("Zm9v Zm9v", Err(4));
        assert_eq!(decode("=").unwrap_err().to_string(), "illegal base64 data at input byte 0");
    }
}
