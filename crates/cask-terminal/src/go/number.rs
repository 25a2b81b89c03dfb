//! Number literals of Go source.

/// Reads an integer as `strconv.ParseUint(text, 0, 64)` does: a base by prefix, underscores between
/// digits. No sign.
pub(crate) fn parse_unsigned(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    // An underscore stands between digits, or between the prefix and a digit.
    let prefixed = digits.len() < lower.len();
    let start = if prefixed { digits.strip_prefix('_').unwrap_or(digits) } else { digits };
    let parts: Vec<&str> = start.split('_').collect();
    let good = |part: &&str| !part.is_empty() && part.chars().all(|digit| digit.is_digit(radix));
    if !parts.iter().all(good) {
        return None;
    }
    u64::from_str_radix(&parts.concat(), radix).ok()
}

/// Reads an integer with an optional sign, as `strconv.ParseInt(text, 0, 64)` does.
pub(crate) fn parse_signed(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let size = i128::from(parse_unsigned(digits)?);
    i64::try_from(if negative { -size } else { size }).ok()
}

/// Reads a floating-point literal, decimal or hexadecimal, as `strconv.ParseFloat` does; `None`
/// also for one that is too large.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.starts_with("0x") || digits.starts_with("0X") {
        return parse_hexadecimal(&digits[2..]).map(|size| sign * size);
    }
    // Unlike integers, decimal fractions may not hold underscores here.
    let shaped = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && digits.chars().any(|symbol| symbol.is_ascii_digit());
    let size: f64 = digits.parse().ok().filter(|_| shaped)?;
    size.is_finite().then_some(sign * size)
}

/// `1.8p3`, what follows `0x`.
fn parse_hexadecimal(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let exponent: i32 = exponent.parse().ok().filter(|power| (-4000..4000).contains(power))?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    // Thirty digits are more than twice what the result can hold.
    if digits.is_empty() || digits.len() > 30 || !digits.chars().all(|it| it.is_ascii_hexdigit()) {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "rounding to the nearest is what is asked for")]
    let mantissa = u128::from_str_radix(&digits, 16).ok()? as f64;
    let places = i32::try_from(fraction.len()).ok()?;
    let size = mantissa * 2.0_f64.powi(exponent - 4 * places);
    size.is_finite().then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_in_every_base() {
        let check = |text: &str, expected: Option<i64>| {
            assert_eq!(parse_signed(text), expected, "{text}");
        };
        check("0", Some(0));
        check("-0", Some(0));
        check("+5", Some(5));
        check("0x1F", Some(31));
        check("0b101", Some(5));
        check("0o17", Some(15));
        check("017", Some(15));
        check("1_000", Some(1000));
        check("0x_1f", Some(31));
        check("0_7", Some(7));
        check("089", None);
        check("1__0", None);
        check("_1", None);
        check("1_", None);
        check("0x", None);
        check("--1", None);
        check("1.0", None);
        check("-9223372036854775808", Some(i64::MIN));
        check("9223372036854775808", None);
        assert_eq!(parse_unsigned("18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_unsigned("-1"), None);
    }

    #[test]
    fn floats_are_read() {
        let check = |text: &str, expected: Option<f64>| {
            assert_eq!(parse_float(text), expected, "{text}");
        };
        check("1.5", Some(1.5));
        check(".5", Some(0.5));
        check("1.", Some(1.0));
        check("-1e3", Some(-1000.0));
        check("+1E-2", Some(0.01));
        check("089", Some(89.0));
        check("0x1p-2", Some(0.25));
        check("0x1.8p1", Some(3.0));
        check("-0X.8P1", Some(-1.0));
        check("1e999", None);
        check("1e", None);
        check(".", None);
        check("inf", None);
        check("nan", None);
        check("0x1.8", None);
        check("0xp1", None);
        check("", None);
    }
}
