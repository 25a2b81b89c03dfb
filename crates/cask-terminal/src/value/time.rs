//! Times: one form in JSON, another in templates.

use serde::{Serialize, Serializer};

/// A moment in RFC 3339, as JSON has it; a template prints it as Go's `time.Time` does.
///
/// ```
/// use cask_terminal::value::{Time, Value};
///
/// let created = Time("2022-01-02T15:04:05.120Z".to_owned());
/// assert_eq!(Value::of(&created)?.to_string(), "2022-01-02 15:04:05.12 +0000 UTC");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Text that is no RFC 3339 time prints as it is. A zone other than UTC prints by its offset twice
/// (`+0200 +0200`), as Go does for a zone that it knows no name of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Time(
    /// The time in RFC 3339.
    pub String,
);

pub(crate) const TIME: &str = "time.Time";

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(TIME, &self.0)
    }
}

/// Turns `2022-01-02T15:04:05.120+02:00` into `2022-01-02 15:04:05.12 +0200 +0200`.
///
/// Source: `time.Time.String`.
pub(crate) fn go_time(text: &str) -> Option<String> {
    let (date, rest) = text.split_once(['T', 't'])?;
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = rest.split_at(zone_at);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let shaped = shape(date) == "dddd-dd-dd" && shape(clock) == "dd:dd:dd";
    if !shaped || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    let zone = match zone {
        "Z" | "z" | "+00:00" | "-00:00" => "+0000 UTC".to_owned(),
        _ if shape(&zone[1..]) == "dd:dd" => format!("{0} {0}", zone.replace(':', "")),
        _ => return None,
    };
    Some(format!("{date} {clock}{point}{fraction} {zone}"))
}

fn shape(text: &str) -> String {
    text.chars().map(|symbol| if symbol.is_ascii_digit() { 'd' } else { symbol }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_as_go_shows_them() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(go_time(text).as_deref(), expected, "{text}");
        };
        check("1970-01-01T00:00:00Z", Some("1970-01-01 00:00:00 +0000 UTC"));
        check("2022-01-02T15:04:05.123456789Z", Some("2022-01-02 15:04:05.123456789 +0000 UTC"));
        check("2022-01-02T15:04:05.500+02:00", Some("2022-01-02 15:04:05.5 +0200 +0200"));
        check("2022-01-02T15:04:05-07:30", Some("2022-01-02 15:04:05 -0730 -0730"));
        check("2022-01-02", None);
        check("2022-01-02T15:04Z", None);
        check("2022-01-02T15:04:05.xZ", None);
        check("2022-01-02T15:04:05+2", None);
        check("2022-01-02T15:04:05+é", None);
        check("", None);
    }

    #[test]
    fn json_has_the_time_as_given() {
        let time = Time("2022-01-02T15:04:05+02:00".to_owned());
        assert_eq!(serde_json::to_string(&time).unwrap(), r#""2022-01-02T15:04:05+02:00""#);
    }
}
