//! Durations: one form in JSON, another in templates.

use serde::{Serialize, Serializer};

/// So many nanoseconds, as JSON has them; a template prints them as Go's `time.Duration` does.
///
/// ```
/// use cask_terminal::value::{Duration, JsonStyle, Value, to_json};
///
/// let interval = Value::of(&Duration(90_500_000_000))?;
/// assert_eq!(interval.to_string(), "1m30.5s");
/// assert_eq!(to_json(&interval, JsonStyle::compact()), "90500000000");
/// # Ok::<(), cask_terminal::value::ValueError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(
    /// Nanoseconds.
    pub i64,
);

pub(crate) const DURATION: &str = "time.Duration";

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(DURATION, &self.0)
    }
}

impl From<std::time::Duration> for Duration {
    /// The longest one for what is longer.
    fn from(duration: std::time::Duration) -> Self {
        Self(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }
}

/// Turns 90 500 000 000 into `1m30.5s`.
///
/// Source: `time.Duration.String`.
pub(crate) fn go_duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let size = nanoseconds.unsigned_abs();
    let fraction = |count: u64, unit: u64, name: &str| {
        let digits = unit.ilog10() as usize;
        let part = format!("{:0digits$}", count % unit);
        let part = if digits == 0 { "" } else { part.trim_end_matches('0') };
        let point = if part.is_empty() { "" } else { "." };
        format!("{}{point}{part}{name}", count / unit)
    };
    let text = match size {
        0 => "0s".to_owned(),
        1..1_000 => fraction(size, 1, "ns"),
        1_000..1_000_000 => fraction(size, 1_000, "µs"),
        1_000_000..1_000_000_000 => fraction(size, 1_000_000, "ms"),
        _ => {
            let (minutes, rest) = (size / 60_000_000_000, size % 60_000_000_000);
            let seconds = fraction(rest, 1_000_000_000, "s");
            match (minutes / 60, minutes % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    };
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_as_go_shows_them() {
        let check = |nanoseconds: i64, expected: &str| {
            assert_eq!(go_duration(nanoseconds), expected);
        };
        check(0, "0s");
        check(1, "1ns");
        check(1_100, "1.1µs");
        check(2_200_000, "2.2ms");
        check(3_300_000_000, "3.3s");
        check(245_000_000_000, "4m5s");
        check(245_001_000_000, "4m5.001s");
        check(18_367_001_000_000, "5h6m7.001s");
        check(3_600_000_000_000, "1h0m0s");
        check(480_000_000_001, "8m0.000000001s");
        check(i64::MAX, "2562047h47m16.854775807s");
        check(i64::MIN, "-2562047h47m16.854775808s");
        check(-1_500_000, "-1.5ms");
    }
}
