//! Small texts of flags.

use anyhow::{Context as _, Result, bail};

/// A size such as `64m`, in bytes; units count in 1024.
///
/// Source: docker/go-units, `RAMInBytes`.
///
/// # Errors
/// For a text that is no size.
pub fn size(text: &str) -> Result<u64> {
    let wrong = || format!("{text:?} is not a size such as 64m");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start().to_ascii_lowercase();
    let unit = unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(&unit);
    let power = match unit {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => bail!(wrong()),
    };
    let factor = 1024_u64.pow(power);
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).with_context(wrong);
    }
    let number: f64 = number.parse().ok().with_context(wrong)?;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a fraction of a unit is not exact anyway, and has no sign"
    )]
    Ok((number * factor as f64) as u64)
}

/// `NAME=VALUE`; without `=`, the value is empty.
pub(super) fn pair(text: &str, flag: &str) -> Result<(String, String)> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    if name.is_empty() {
        bail!("--{flag} {text:?} has no name: write NAME=VALUE");
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// All of several `NAME=VALUE`.
pub(super) fn pairs(texts: &[String], flag: &str) -> Result<Vec<(String, String)>> {
    texts.iter().map(|text| pair(text, flag)).collect()
}

/// The fields of `key=value,key=value`; a field without `=` has no value. Quotes around a field keep
/// commas, as in CSV.
pub(super) fn fields(text: &str) -> Result<Vec<(String, Option<String>)>> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields.last_mut().expect("there is one at least").push(c),
        }
    }
    if quoted {
        bail!("{text:?} has an open quote");
    }
    let split = |field: String| match field.split_once('=') {
        Some((key, value)) => (key.trim().to_owned(), Some(value.to_owned())),
        None => (field.trim().to_owned(), None),
    };
    Ok(fields.into_iter().map(split).collect())
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_1024() {
        let check = |text: &str, expected: u64| assert_eq!(size(text).unwrap(), expected, "{text}");
        check("65536k", 64 << 20);
        check("64m", 64 << 20);
        check("1.5G", 3 << 29);
        check("12", 12);
        check("1KiB", 1024);
        for text in ["", "x", "1x", "-1", "18446744073709551615k"] {
            size(text).unwrap_err();
        }
    }

    #[test]
    fn fields_may_be_quoted() {
        let found = fields("type=local,\"dest=a,b\",x").unwrap();
        let expected = [("type", Some("local")), ("dest", Some("a,b")), ("x", None)];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.map(str::to_owned)));
        assert_eq!(found, expected);
        fields("\"a").unwrap_err();
    }
}
