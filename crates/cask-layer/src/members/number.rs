//! The numbers of tar headers and PAX records, as Go reads them.

use super::Timestamp;

/// Reads a number of a header: octal digits, or base-256 where the first bit is set.
///
/// Nothing for what is neither, and for what does not fit in 63 bits.
/// Source: Go's `archive/tar`, `parseNumeric`.
pub(super) fn header_number(field: &[u8]) -> Option<i64> {
    let first = *field.first()?;
    if first & 0x80 == 0 {
        return octal(field).map(u64::cast_signed);
    }
    let mask = if first & 0x40 == 0 { 0 } else { 0xff };
    let mut value: u64 = 0;
    for (index, &byte) in field.iter().enumerate() {
        let byte = (byte ^ mask) & if index == 0 { 0x7f } else { 0xff };
        if value >> 56 > 0 {
            return None;
        }
        value = value << 8 | u64::from(byte);
    }
    let value = i64::try_from(value).ok()?;
    Some(if mask == 0 { value } else { !value })
}

/// Reads octal digits between zero bytes and spaces; an empty field is zero.
///
/// Source: Go's `archive/tar`, `parseOctal`.
pub(super) fn octal(field: &[u8]) -> Option<u64> {
    let blank = |byte: &u8| *byte == 0 || *byte == b' ';
    let Some(start) = field.iter().position(|byte| !blank(byte)) else { return Some(0) };
    let end = field.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    text(&field[start..end]).iter().try_fold(0_u64, |value, &byte| match byte {
        b'0'..=b'7' if value >> 61 == 0 => Some(value << 3 | u64::from(byte - b'0')),
        _ => None,
    })
}

/// What comes before the first zero byte.
pub(super) fn text(field: &[u8]) -> &[u8] {
    field.iter().position(|&byte| byte == 0).map_or(field, |end| &field[..end])
}

/// Reads a decimal number with an optional sign.
pub(super) fn decimal(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_i64, |value, &byte| {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        let value = value.checked_mul(10)?;
        if negative { value.checked_sub(digit) } else { value.checked_add(digit) }
    })
}

/// Reads seconds with an optional fraction, of which nine digits count.
///
/// Source: Go's `archive/tar`, `parsePAXTime`.
pub(super) fn time(text: &[u8]) -> Option<Timestamp> {
    let (whole, fraction) = match text.iter().position(|&byte| byte == b'.') {
        Some(dot) => (&text[..dot], &text[dot + 1..]),
        None => (text, &[][..]),
    };
    let seconds = decimal(whole)?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut nanoseconds = 0;
    for place in 0..9 {
        let digit = fraction.get(place).map_or(0, |digit| u32::from(digit - b'0'));
        nanoseconds = nanoseconds * 10 + digit;
    }
    if whole.first() == Some(&b'-') && nanoseconds > 0 {
        let seconds = seconds.checked_sub(1)?;
        return Some(Timestamp { seconds, nanoseconds: 1_000_000_000 - nanoseconds });
    }
    Some(Timestamp { seconds, nanoseconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_numbers_are_octal_or_base_256() {
        let check = |field: &[u8], expected| {
            assert_eq!(header_number(field), expected, "{}", field.escape_ascii());
        };
        check(b"0000644\0", Some(0o644));
        check(b"   644 \0", Some(0o644));
        check(b"\0\0\0\0", Some(0));
        check(b"0000888\0", None);
        check(b"12\x0034\0", Some(0o12));
        check(b"-1\0", None);
        check(b"\x80\0\0\0\0\0\x01\0", Some(256));
        check(b"\xff\xff\xff\xff\xff\xff\xff\xff", Some(-1));
        check(b"\xff\xff\xff\xff\xff\xff\xff\0", Some(-256));
        check(b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None);
        check(b"777777777777777777777777", None);
    }

    #[test]
    fn decimals_have_signs_and_end() {
        let check = |text: &[u8], expected| assert_eq!(decimal(text), expected);
        check(b"+12", Some(12));
        check(b"-12", Some(-12));
        check(b"", None);
        check(b"-", None);
        check(b"1_0", None);
        check(b"9223372036854775807", Some(i64::MAX));
        check(b"9223372036854775808", None);
        check(b"-9223372036854775808", Some(i64::MIN));
    }

    #[test]
    fn times_count_forward_from_before_1970() {
        let check = |text: &[u8], expected: Option<(i64, u32)>| {
            let found = time(text).map(|time| (time.seconds, time.nanoseconds));
            assert_eq!(found, expected, "{}", text.escape_ascii());
        };
        check(b"1350244992.023960108", Some((1_350_244_992, 23_960_108)));
        check(b"1350244992.02396010899", Some((1_350_244_992, 23_960_108)));
        check(b"-1.5", Some((-2, 500_000_000)));
        check(b"-0.5", Some((-1, 500_000_000)));
        check(b"5.", Some((5, 0)));
        check(b"5", Some((5, 0)));
        check(b".5", None);
        check(b"1.5e", None);
        check(b"-9223372036854775808.1", None);
    }
}
