//! Points in time as image documents write them.

use std::fmt;
use std::str::FromStr;

/// A point in time with the offset from UTC in which it was written.
///
/// Parsing and printing are those of Go's `time.Time` in JSON: RFC 3339 with up to nine digits
/// behind the second (more are cut off), no leap seconds, printed without trailing zeros, and with
/// `Z` for every offset of zero. So a time that a Go tool reads and writes again comes out the
/// same here.
///
/// Two values are equal if they are printed alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timestamp {
    /// Seconds of the local time since 1970-01-01 00:00:00 local time.
    local_seconds: i64,
    nanoseconds: u32,
    offset_minutes: i16,
}

/// Days from 0000-01-01 to 1970-01-01.
const DAYS_BEFORE_1970: i64 = 719_528;
const SECONDS_PER_DAY: i64 = 86_400;
/// Days in 400 years.
const DAYS_PER_ERA: i64 = 146_097;

impl Timestamp {
    /// What Go takes for "no time": the start of the year 1.
    pub const GO_ZERO: Self =
        Self { local_seconds: -62_135_596_800, nanoseconds: 0, offset_minutes: 0 };

    /// The time so many seconds and nanoseconds after 1970-01-01T00:00:00Z, in UTC.
    ///
    /// `None` outside the years 0 to 9999, which have no text, and for a billion nanoseconds or
    /// more.
    pub fn from_unix(seconds: i64, nanoseconds: u32) -> Option<Self> {
        let days = seconds.div_euclid(SECONDS_PER_DAY).checked_add(DAYS_BEFORE_1970)?;
        let known = (0..DAYS_PER_ERA * 25).contains(&days) && nanoseconds < 1_000_000_000;
        known.then_some(Self { local_seconds: seconds, nanoseconds, offset_minutes: 0 })
    }

    /// Seconds since 1970-01-01T00:00:00Z, rounded down.
    pub fn unix_seconds(self) -> i64 {
        self.local_seconds - i64::from(self.offset_minutes) * 60
    }

    /// Nanoseconds after [`unix_seconds`](Self::unix_seconds), less than a billion.
    pub fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }

    /// Minutes by which the time as written is ahead of UTC.
    pub fn offset_minutes(self) -> i16 {
        self.offset_minutes
    }

    /// Whether this is what Go takes for "no time".
    pub fn is_go_zero(self) -> bool {
        self.unix_seconds() == Self::GO_ZERO.local_seconds && self.nanoseconds == 0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.local_seconds.div_euclid(SECONDS_PER_DAY));
        let seconds = self.local_seconds.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if self.nanoseconds > 0 {
            let digits = format!("{:09}", self.nanoseconds);
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        match self.offset_minutes {
            0 => f.write_str("Z"),
            offset => {
                let sign = if offset < 0 { '-' } else { '+' };
                let minutes = offset.unsigned_abs();
                write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        }
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        parse(text.as_bytes()).ok_or_else(|| TimestampError { input: text.into() })
    }
}

/// A text that is not a [`Timestamp`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampError {
    input: Box<str>,
}

impl TimestampError {
    /// The text that was refused.
    pub fn input(&self) -> &str {
        &self.input
    }
}

impl fmt::Display for TimestampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let input = cask_json::quoted(&self.input);
        write!(f, "{input} is not a time such as 2006-01-02T15:04:05.999Z (RFC 3339)")
    }
}

impl std::error::Error for TimestampError {}

fn parse(text: &[u8]) -> Option<Timestamp> {
    let (date_time, mut rest) = text.split_at_checked(19)?;
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators.iter().any(|&(at, separator)| date_time[at] != separator) {
        return None;
    }
    let year = number(&date_time[..4], 0, 9999)?;
    let month = number(&date_time[5..7], 1, 12)?;
    let day = number(&date_time[8..10], 1, days_in_month(year, month))?;
    let hour = number(&date_time[11..13], 0, 23)?;
    let minute = number(&date_time[14..16], 0, 59)?;
    let second = number(&date_time[17..19], 0, 59)?;
    let mut nanoseconds = 0;
    if let [b'.', fraction @ ..] = rest {
        let length = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
        let digits = fraction[..length].iter().copied().chain(std::iter::repeat(b'0')).take(9);
        nanoseconds = digits.fold(0, |n, digit| n * 10 + u32::from(digit - b'0'));
        rest = &fraction[length..];
        if length == 0 {
            return None;
        }
    }
    let offset_minutes = match rest {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let minutes = number(&[*h1, *h2], 0, 23)? * 60 + number(&[*m1, *m2], 0, 59)?;
            let minutes = i16::try_from(minutes).ok()?;
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    let local_seconds =
        days(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    Some(Timestamp { local_seconds, nanoseconds, offset_minutes })
}

fn number(digits: &[u8], min: i64, max: i64) -> Option<i64> {
    let add = |n: i64, b: &u8| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0'));
    digits.iter().try_fold(0, add).filter(|n| (min..=max).contains(n))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that start in March put the leap day last.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_PER_ERA + day_of_era - 719_468
}

/// The date so many days after 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(DAYS_PER_ERA);
    let day_of_era = days.rem_euclid(DAYS_PER_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: Option<(&str, i64)>) {
        let time = input.parse::<Timestamp>().ok();
        let printed = time.map(|t| (t.to_string(), t.unix_seconds()));
        let printed = printed.as_ref().map(|(text, seconds)| (text.as_str(), *seconds));
        assert_eq!(printed, expected, "{input}");
    }

    #[test]
    fn times_are_read_and_written_as_go_does() {
        check("1970-01-01T00:00:00Z", Some(("1970-01-01T00:00:00Z", 0)));
        check("0001-01-01T00:00:00Z", Some(("0001-01-01T00:00:00Z", -62_135_596_800)));
        check("0000-01-01T00:00:00Z", Some(("0000-01-01T00:00:00Z", -62_167_219_200)));
        check("9999-12-31T23:59:59Z", Some(("9999-12-31T23:59:59Z", 253_402_300_799)));
        check("2000-02-29T12:00:00.120Z", Some(("2000-02-29T12:00:00.12Z", 951_825_600)));
        check(
            "2015-10-31T22:22:54.690851953Z",
            Some(("2015-10-31T22:22:54.690851953Z", 1_446_330_174)),
        );
        check(
            "2015-10-31T22:22:54.6908519539Z",
            Some(("2015-10-31T22:22:54.690851953Z", 1_446_330_174)),
        );
        check("2020-01-01T00:00:00.000000000+00:00", Some(("2020-01-01T00:00:00Z", 1_577_836_800)));
        check("2020-01-01T00:00:00-00:00", Some(("2020-01-01T00:00:00Z", 1_577_836_800)));
        check("2020-01-01T01:00:00+01:00", Some(("2020-01-01T01:00:00+01:00", 1_577_836_800)));
        check("2019-12-31T16:30:00.5-07:30", Some(("2019-12-31T16:30:00.5-07:30", 1_577_836_800)));
    }

    #[test]
    fn other_texts_are_refused() {
        for input in [
            "",
            "2020-01-01",
            "2020-01-01T00:00:00",
            "2020-01-01 00:00:00Z",
            "2020-01-01t00:00:00z",
            "2020-1-01T00:00:00Z",
            "2020-01-01T5:00:00Z",
            "2020-01-01T00:00:60Z",
            "2020-01-01T24:00:00Z",
            "2021-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2020-13-01T00:00:00Z",
            "2020-00-01T00:00:00Z",
            "2020-01-01T00:00:00.Z",
            "2020-01-01T00:00:00,5Z",
            "2020-01-01T00:00:00+24:00",
            "2020-01-01T00:00:00+0100",
            "2020-01-01T00:00:00ZZ",
            "+020-01-01T00:00:00Z",
            "2020-01-01T00:00:0éZ",
        ] {
            check(input, None);
        }
    }

    #[test]
    fn unix_seconds_round_trip_over_all_years() {
        let mut seconds = -62_167_219_200;
        while seconds <= 253_402_300_799 {
            let time = Timestamp::from_unix(seconds, 7).unwrap();
            assert_eq!(time.to_string().parse(), Ok(time));
            assert_eq!(time.unix_seconds(), seconds);
            seconds += 86_400 * 17 + 12_345;
        }
        assert_eq!(Timestamp::from_unix(-62_167_219_201, 0), None);
        assert_eq!(Timestamp::from_unix(253_402_300_800, 0), None);
        assert_eq!(Timestamp::from_unix(0, 1_000_000_000), None);
        assert_eq!(Timestamp::from_unix(i64::MAX, 0), None);
        assert!(Timestamp::GO_ZERO.is_go_zero());
        assert_eq!(Timestamp::GO_ZERO.to_string(), "0001-01-01T00:00:00Z");
    }
}
