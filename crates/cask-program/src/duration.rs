//! Durations as Go's tools write them.

use std::str::FromStr;
use std::time::Duration;

/// A duration such as `300ms`, `90s` or `1h30m`.
///
/// Source: Go, `time.ParseDuration`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoDuration(pub Duration);

impl FromStr for GoDuration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || format!("{text:?} is not a duration such as 90s or 1h30m");
        if text == "0" {
            return Ok(Self(Duration::ZERO));
        }
        let mut rest = text;
        let mut seconds = 0.0;
        while !rest.is_empty() {
            let unit_at =
                rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(invalid)?;
            let (number, after) = rest.split_at(unit_at);
            let number: f64 = number.parse().map_err(|_| invalid())?;
            let unit_len = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
            let (unit, after) = after.split_at(unit_len);
            seconds += number
                * match unit {
                    "ns" => 1e-9,
                    "us" | "µs" | "μs" => 1e-6,
                    "ms" => 1e-3,
                    "s" => 1.0,
                    "m" => 60.0,
                    "h" => 3600.0,
                    _ => return Err(invalid()),
                };
            rest = after;
        }
        if text.is_empty() {
            return Err(invalid());
        }
        Duration::try_from_secs_f64(seconds).map(Self).map_err(|_| invalid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<Duration>) {
        assert_eq!(text.parse().ok().map(|GoDuration(duration)| duration), expected, "{text:?}");
    }

    #[test]
    fn durations_are_those_of_go() {
        check("90s", Some(Duration::from_secs(90)));
        check("1h30m", Some(Duration::from_secs(5400)));
        check("1.5s", Some(Duration::from_millis(1500)));
        check("300ms", Some(Duration::from_millis(300)));
        check("0", Some(Duration::ZERO));
        for wrong in ["", "5", "s", "5x", "-3s", "1h-2m", "1e9h", "99999999999999999999h"] {
            check(wrong, None);
        }
    }
}
