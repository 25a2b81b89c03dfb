//! Moments as users write them, to the nanosecond.

use cask_image::Timestamp;

use crate::images::whole_time;
use crate::{Result, parse_moment};

/// Reads a moment as [`parse_moment`] does, without rounding it: also seconds since 1970 with a part of a second.
///
/// Source: moby, `api/types/time/timestamp.go`.
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid).
pub fn parse_exact_moment(text: &str, now: Timestamp) -> Result<Timestamp> {
    if let Some(time) = whole_time(text) {
        return Ok(time);
    }
    if let Some((seconds, part)) = text.split_once('.')
        && let Ok(seconds) = seconds.parse()
        && (1..=9).contains(&part.len())
        && let Ok(nanoseconds) = format!("{part:0<9}").parse()
        && let Some(time) = Timestamp::from_unix(seconds, nanoseconds)
    {
        return Ok(time);
    }
    let seconds = parse_moment(text, now.unix_seconds())?;
    // What is so long ago has the same part of a second as now.
    let is_ago = parse_moment(text, 0).is_ok_and(|from_zero| from_zero != seconds);
    let nanoseconds = if is_ago { now.nanoseconds() } else { 0 };
    Ok(Timestamp::from_unix(seconds, nanoseconds).unwrap_or(Timestamp::GO_ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_seconds_are_kept() {
        let now = Timestamp::from_unix(1_000_000, 500).unwrap();
        let check = |text: &str, expected: (i64, u32)| {
            let found = parse_exact_moment(text, now).unwrap();
            assert_eq!((found.unix_seconds(), found.nanoseconds()), expected, "{text}");
        };
        check("1970-01-01T00:00:01.5Z", (1, 500_000_000));
        check("1970-01-01T01:00:01,000000007+01:00", (1, 7));
        check("-10s", (1_000_010, 500));
        check("12.25", (12, 250_000_000));
        check("12.000000001", (12, 1));
        check("12", (12, 0));
        check("10s", (999_990, 500));
        check("1970-01-02", (86_400, 0));
        for wrong in ["", "x", "-", "1.", "1.x", "1.-1", "1,5", "1s,"] {
            assert!(parse_exact_moment(wrong, now).is_err(), "{wrong}");
        }
    }
}
