//! Lines as logrus writes them: `time="…" level=fatal msg="…"`.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

/// A line without its newline. `fields` follow the message, in order.
///
/// Source: logrus' `TextFormatter` where there is no terminal.
pub(crate) fn log_line(
    time: SystemTime,
    level: &str,
    message: &str,
    fields: &[(&str, String)],
) -> String {
    let mut line = format!("time={} level={level} msg={}", value(&log_time(time)), value(message));
    for (key, text) in fields {
        line.push_str(&format!(" {key}={}", value(text)));
    }
    line
}

/// A value, quoted as Go quotes it unless it is plain.
fn value(text: &str) -> Cow<'_, str> {
    let plain = |it: char| it.is_ascii_alphanumeric() || "-._/@^+".contains(it);
    if text.chars().all(plain) { text.into() } else { crate::go::quote_text(text).into() }
}

/// The time in RFC 3339, in UTC, to the second.
fn log_time(time: SystemTime) -> String {
    let seconds = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
    };
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The date of a day counted from 1970-01-01, by the rules of the Gregorian calendar.
///
/// Years begin in March here, so that the day that may be missing is the last.
fn civil(day: i64) -> (i64, i64, i64) {
    const ERA_DAYS: i64 = 146_097;
    let day = day + 719_468;
    let era = day.div_euclid(ERA_DAYS);
    let day_of_era = day.rem_euclid(ERA_DAYS);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted_month + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_in_utc() {
        let check = |seconds: u64, expected: &str| {
            assert_eq!(log_time(UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        };
        check(0, "1970-01-01T00:00:00Z");
        check(951_782_399, "2000-02-28T23:59:59Z");
        check(951_782_400, "2000-02-29T00:00:00Z");
        check(951_868_800, "2000-03-01T00:00:00Z");
        check(1_767_366_245, "2026-01-02T15:04:05Z");
        check(4_107_542_400, "2100-03-01T00:00:00Z");
        check(253_402_300_799, "9999-12-31T23:59:59Z");
        assert_eq!(log_time(UNIX_EPOCH - Duration::from_secs(1)), "1969-12-31T23:59:59Z");
    }

    #[test]
    fn values_are_quoted_when_logrus_quotes_them() {
        let check = |text: &str, expected: &str| assert_eq!(value(text), expected);
        check("", "");
        check("a-Z0._/@^+", "a-Z0._/@^+");
        check("a b", r#""a b""#);
        check("a=b", r#""a=b""#);
        check("say \"hi\"\n", r#""say \"hi\"\n""#);
        check("é", r#""é""#);
        check("\x1b[2J", r#""\x1b[2J""#);
    }

    #[test]
    fn fields_follow_the_message() {
        let line = log_line(UNIX_EPOCH, "debug", "hi", &[("target", "a::b".to_owned())]);
        assert_eq!(line, r#"time="1970-01-01T00:00:00Z" level=debug msg=hi target="a::b""#);
    }
}
