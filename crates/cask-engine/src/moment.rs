//! Moments as users write them, to the nanosecond.

use cask_image::Timestamp;
use jiff::tz::TimeZone;

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

/// A time with a date. What is said without a zone is in that of the machine.
///
/// Source: moby, `api/types/time/timestamp.go`.
pub(crate) fn whole_time(text: &str) -> Option<Timestamp> {
    whole_time_in(text, TimeZone::system)
}

fn whole_time_in(text: &str, zone: impl FnOnce() -> TimeZone) -> Option<Timestamp> {
    let text = text.replacen(',', ".", 1);
    let behind_date = text.get("2006-01-02".len()..)?;
    let said = behind_date.find(['Z', 'z', '+', '-']).unwrap_or(behind_date.len());
    let (local, offset) = text.split_at("2006-01-02".len() + said);
    let rest = match local.len() {
        10 => "T00:00:00",
        13 => ":00:00",
        16 => ":00",
        _ => "",
    };
    let whole = |offset: &str| format!("{local}{rest}{offset}").parse::<Timestamp>().ok();
    if !offset.is_empty() {
        return whole(offset);
    }
    // What a clock would show at Greenwich.
    let shown = whole("Z")?;
    let shown_there = jiff::Timestamp::from_second(shown.unix_seconds()).ok()?;
    let here = TimeZone::UTC.to_datetime(shown_there);
    let seconds = zone().to_timestamp(here).ok()?.as_second();
    Timestamp::from_unix(seconds, shown.nanoseconds())
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
        check("1970-01-02Z", (86_400, 0));
        for wrong in ["1970-01-02T", "1970-01-02T1", "1970-13-02", "1970-01-02 10:00"] {
            assert!(parse_exact_moment(wrong, now).is_err(), "{wrong}");
        }
        for wrong in ["", "x", "-", "1.", "1.x", "1.-1", "1,5", "1s,"] {
            assert!(parse_exact_moment(wrong, now).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_without_a_zone_is_the_machine_s() {
        let check = |zone: &str, text: &str, expected: &str| {
            let zone = || TimeZone::posix(zone).unwrap();
            let found =
                whole_time_in(text, zone).map(|time| (time.unix_seconds(), time.nanoseconds()));
            let expected: Timestamp = expected.parse().unwrap();
            assert_eq!(found, Some((expected.unix_seconds(), expected.nanoseconds())), "{text}");
        };
        let berlin = "CET-1CEST,M3.5.0,M10.5.0/3";
        check(berlin, "2026-11-22T10:00:00", "2026-11-22T09:00:00Z");
        check(berlin, "2026-07-22T10:00:00.5", "2026-07-22T08:00:00.5Z");
        check(berlin, "2026-11-22T10:00", "2026-11-22T09:00:00Z");
        check(berlin, "2026-11-22T10", "2026-11-22T09:00:00Z");
        check(berlin, "2026-11-22", "2026-11-21T23:00:00Z");
        check(berlin, "2026-11-22T10:00:00-02:00", "2026-11-22T12:00:00Z");
        check(berlin, "2026-11-22T10:00Z", "2026-11-22T10:00:00Z");
        check(berlin, "2026-11-22T10+02:00", "2026-11-22T08:00:00Z");
        check(berlin, "2026-11-22-07:00", "2026-11-22T07:00:00Z");
        check("UTC0", "2026-11-22T10:00:00", "2026-11-22T10:00:00Z");
    }
}
