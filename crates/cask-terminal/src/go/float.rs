//! Floating-point numbers as `strconv.FormatFloat` writes them.

use std::fmt::Write as _;

/// Writes a number with one of Go's verbs `e E f F g G b x X`.
///
/// `precision` of `None` asks for the fewest digits that read back as the same number.
/// There is always a sign only on negative numbers; infinities are `+Inf` and `-Inf`.
///
/// Source: `strconv.FormatFloat`.
pub(crate) fn format_float(number: f64, verb: u8, precision: Option<usize>) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let mut out = String::new();
    if number.is_sign_negative() {
        out.push('-');
    }
    let number = number.abs();
    match verb {
        b'e' | b'E' => push_exponent_form(&mut out, number, verb, precision),
        b'f' | b'F' => push_plain_form(&mut out, number, precision),
        b'b' => push_binary_form(&mut out, number),
        b'x' | b'X' => push_hexadecimal_form(&mut out, number, verb, precision),
        _ => push_general_form(&mut out, number, verb, precision),
    }
    out
}

/// The digits (no point) and the decimal exponent of the first of them.
fn digits_and_exponent(number: f64, precision: Option<usize>) -> (String, i32) {
    let text = match precision {
        Some(precision) => format!("{number:.precision$e}"),
        None => format!("{number:e}"),
    };
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits = digits.chars().filter(|digit| *digit != '.').collect();
    (digits, exponent.parse().unwrap_or(0))
}

fn push_exponent(out: &mut String, letter: u8, exponent: i32) {
    let sign = if exponent < 0 { '-' } else { '+' };
    let _ = write!(out, "{}{sign}{:02}", char::from(letter), exponent.unsigned_abs());
}

fn push_exponent_form(out: &mut String, number: f64, verb: u8, precision: Option<usize>) {
    let (digits, exponent) = digits_and_exponent(number, precision);
    out.push_str(&digits[..1]);
    if digits.len() > 1 {
        out.push('.');
        out.push_str(&digits[1..]);
    }
    push_exponent(out, verb, exponent);
}

fn push_plain_form(out: &mut String, number: f64, precision: Option<usize>) {
    let _ = match precision {
        Some(precision) => write!(out, "{number:.precision$}"),
        None => write!(out, "{number}"),
    };
}

fn push_general_form(out: &mut String, number: f64, verb: u8, precision: Option<usize>) {
    let significant = precision.map(|precision| precision.max(1));
    let (digits, exponent) = digits_and_exponent(number, significant.map(|count| count - 1));
    let trimmed = digits.trim_end_matches('0');
    let count = i32::try_from(trimmed.len().max(1)).unwrap_or(i32::MAX);
    let mut threshold = i32::try_from(significant.unwrap_or(6)).unwrap_or(i32::MAX);
    if significant.is_some() && threshold > count && count > exponent {
        threshold = count;
    }
    if exponent < -4 || exponent >= threshold {
        let places = usize::try_from(count - 1).unwrap_or(0);
        push_exponent_form(out, number, verb - 2, significant.map(|_| places));
    } else {
        let places = usize::try_from(count - 1 - exponent).unwrap_or(0);
        push_plain_form(out, number, significant.map(|_| places));
    }
}

/// `4503599627370496p-52`: the mantissa as an integer, and the power of two it is scaled by.
fn push_binary_form(out: &mut String, number: f64) {
    let (mantissa, exponent) = mantissa_and_exponent(number);
    let _ = write!(out, "{mantissa}p{exponent:+}");
}

/// The 53-bit integer mantissa and its power of two.
fn mantissa_and_exponent(number: f64) -> (u64, i64) {
    let bits = number.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    let exponent = i64::try_from((bits >> 52) & 0x7ff).unwrap_or(0);
    if exponent == 0 { (fraction, -1074) } else { (fraction | (1 << 52), exponent - 1075) }
}

/// `0x1.8p+01`: one binary digit before the point, hexadecimal ones after it.
fn push_hexadecimal_form(out: &mut String, number: f64, verb: u8, precision: Option<usize>) {
    let (mut mantissa, mut exponent) = mantissa_and_exponent(number);
    if mantissa == 0 {
        exponent = 0;
    } else {
        // Put the leading one at bit 60, so that 15 hexadecimal digits follow it.
        let shift = mantissa.leading_zeros() - 3;
        mantissa <<= shift;
        exponent += 60 - i64::from(shift);
    }
    if let Some(precision) = precision.filter(|precision| *precision < 15) {
        let dropped = 60 - 4 * u32::try_from(precision).unwrap_or(0);
        let half = 1_u64 << (dropped - 1);
        let odd = (mantissa >> dropped) & 1;
        mantissa = ((mantissa + half - 1 + odd) >> dropped) << dropped;
        if mantissa >> 61 != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let mut fraction = format!("{:015x}", mantissa & ((1 << 60) - 1));
    match precision {
        Some(precision) if precision < 15 => fraction.truncate(precision),
        Some(precision) => fraction.extend(std::iter::repeat_n('0', precision - 15)),
        None => fraction.truncate(fraction.trim_end_matches('0').len()),
    }
    let point = if fraction.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    let text = format!("0x{}{point}{fraction}p{sign}{:02}", mantissa >> 60, exponent.abs());
    out.push_str(&if verb == b'X' { text.to_uppercase() } else { text });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        let check = |number: f64, verb: u8, precision: Option<usize>, expected: &str| {
            assert_eq!(format_float(number, verb, precision), expected);
        };
        check(1.0, b'g', None, "1");
        check(0.0, b'g', None, "0");
        check(-0.0, b'g', None, "-0");
        check(100_000.0, b'g', None, "100000");
        check(1_234_567.0, b'g', None, "1.234567e+06");
        check(1e20, b'g', None, "1e+20");
        check(1e21, b'g', None, "1e+21");
        check(0.0001, b'g', None, "0.0001");
        check(0.00001, b'g', None, "1e-05");
        check(1_234_567.0, b'g', Some(4), "1.235e+06");
        check(123.456, b'g', Some(4), "123.5");
        check(100.0, b'g', Some(3), "100");
        check(1000.0, b'g', Some(3), "1e+03");
        check(32.0, b'g', Some(0), "3e+01");
        check(99.99, b'g', Some(3), "100");
        check(0.0, b'g', Some(4), "0");
        check(100_000.0, b'G', Some(3), "1E+05");
        check(1.5, b'e', Some(6), "1.500000e+00");
        check(123_456.0, b'e', None, "1.23456e+05");
        check(1e100, b'E', Some(0), "1E+100");
        check(2.5, b'f', Some(0), "2");
        check(2.71928, b'f', Some(2), "2.72");
        check(1e21, b'f', None, "1000000000000000000000");
        check(f64::INFINITY, b'g', None, "+Inf");
        check(f64::NEG_INFINITY, b'f', Some(2), "-Inf");
        check(f64::NAN, b'e', None, "NaN");
        check(1.0, b'b', None, "4503599627370496p-52");
        check(1.0, b'x', None, "0x1p+00");
        check(3.0, b'x', None, "0x1.8p+01");
        check(0.0, b'x', None, "0x0p+00");
        check(0.1, b'x', None, "0x1.999999999999ap-04");
        check(0.1, b'X', Some(3), "0X1.99AP-04");
        check(1.999, b'x', Some(0), "0x1p+01");
        check(1.0, b'x', Some(17), "0x1.00000000000000000p+00");
    }
}
