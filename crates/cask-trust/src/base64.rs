//! Standard base64, as Go reads it.

/// Decodes `text`: standard alphabet, padding required, line breaks ignored anywhere. Bits after
/// the last whole byte are ignored.
///
/// # Errors
/// The offset in `text` of what is illegal.
///
/// Source: Go's `encoding/base64`, `StdEncoding`, which `encoding/json` uses for byte strings.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, usize> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let mut input = text.bytes().enumerate().filter(|(_, byte)| !matches!(byte, b'\n' | b'\r'));
    loop {
        let mut bits = 0_u32;
        for count in 0..4 {
            let Some((offset, byte)) = input.next() else {
                return if count == 0 { Ok(out) } else { Err(text.len() - count) };
            };
            if byte == b'=' {
                padding(&mut input, count, offset, text.len())?;
                let bytes = (bits << (6 * (4 - count))).to_be_bytes();
                out.extend_from_slice(&bytes[1..count]);
                return Ok(out);
            }
            bits = bits << 6 | u32::from(value(byte).ok_or(offset)?);
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
) -> Result<(), usize> {
    match count {
        0 | 1 => return Err(offset),
        2 => match input.next() {
            Some((_, b'=')) => {}
            Some((offset, _)) => return Err(offset),
            None => return Err(end),
        },
        _ => {}
    }
    input.next().map_or(Ok(()), |(offset, _)| Err(offset))
}

fn value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_what_go_decodes() {
        #[track_caller]
        fn check(text: &str, expected: Result<&[u8], usize>) {
            assert_eq!(decode(text), expected.map(<[u8]>::to_vec), "{text:?}");
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
    }
}
