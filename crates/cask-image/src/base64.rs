//! Base64, for the `data` of descriptors and for the signatures of schema 1.

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Encodes with the standard alphabet and padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
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

/// Decodes the standard alphabet; there is one text for each value, padding included.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let digits = text.strip_suffix("==").or(text.strip_suffix('=')).unwrap_or(text);
    decode_digits(digits.as_bytes(), STANDARD)
}

/// Decodes the alphabet of URLs without padding.
pub(crate) fn decode_url(text: &str) -> Option<Vec<u8>> {
    decode_digits(text.as_bytes(), URL)
}

fn decode_digits(digits: &[u8], alphabet: &[u8; 64]) -> Option<Vec<u8>> {
    let mut values = [None; 256];
    for (value, &digit) in (0u32..).zip(alphabet) {
        values[usize::from(digit)] = Some(value);
    }
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
            assert_eq!(decode(text).as_deref(), Some(bytes));
        }
        assert_eq!(decode_url("-_8").as_deref(), Some(&[0xfb, 0xff][..]));
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in
            ["Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Z===", "====", "Zg==\n", "-_8=", "Zm9v="]
        {
            assert_eq!(decode(text), None, "{text:?}");
        }
        for text in ["Z", "Zg==", "+/8"] {
            assert_eq!(decode_url(text), None, "{text:?}");
        }
    }
}
