//! What Go's `time.Time` says when it is asked: its methods, and layouts by example.

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
/// How much a name is shortened, in letters.
const SHORT: usize = 3;

/// The parts of a layout, in the order in which they are looked for where several fit: the longest first.
///
/// Source: Go, `time/format.go`, `nextStdChunk`.
const PARTS: [&str; 33] = [
    "January",
    "Jan",
    "Monday",
    "Mon",
    "MST",
    "2006",
    "002",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "15",
    "PM",
    "pm",
    "-07:00:00",
    "-07:00",
    "-070000",
    "-0700",
    "-07",
    "Z07:00:00",
    "Z07:00",
    "Z070000",
    "Z0700",
    "Z07",
    "_2006",
    "_2",
    "1",
    "2",
    "3",
    "4",
    "5",
];

/// A moment in its zone, taken apart.
pub(super) struct Moment {
    year: i64,
    month: usize,
    day: i64,
    seconds_of_day: i64,
    nanoseconds: i64,
    /// Seconds east of Greenwich.
    offset: i64,
}

impl Moment {
    /// Takes a time in RFC 3339 apart.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (date, rest) = text.split_once(['T', 't'])?;
        let zone_at = rest.find(['Z', 'z', '+', '-'])?;
        let (clock, zone) = rest.split_at(zone_at);
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
        let numbers = |text: &str, between: char| -> Option<[i64; 3]> {
            let parts: Option<Vec<i64>> = text.split(between).map(|one| one.parse().ok()).collect();
            parts?.try_into().ok()
        };
        if date.len() != 10 {
            return None;
        }
        let [year, month, day] = numbers(date, '-')?;
        let [hour, minute, second] = numbers(clock, ':')?;
        let offset = match zone.strip_prefix('+').or_else(|| zone.strip_prefix('-')) {
            Some(offset) => {
                let (hours, minutes) = offset.split_once(':')?;
                let seconds = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
                if zone.starts_with('-') { -seconds } else { seconds }
            }
            None => 0,
        };
        let month = usize::try_from(month).ok().filter(|month| (1..=12).contains(month))?;
        let nanoseconds = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
        let seconds_of_day = hour * 3600 + minute * 60 + second;
        Some(Self { year, month, day, seconds_of_day, nanoseconds, offset })
    }

    /// Days since 1970. Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
    fn days(&self) -> i64 {
        let month = i64::try_from(self.month).unwrap_or(1);
        let year = if month <= 2 { self.year - 1 } else { self.year };
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + self.day - 1;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
    }

    /// Seconds since 1970.
    fn unix(&self) -> i64 {
        self.days() * 86_400 + self.seconds_of_day - self.offset
    }

    /// The answer of a method without arguments, as a number.
    pub(super) fn number(&self, method: &str) -> Option<i64> {
        Some(match method {
            "Unix" => self.unix(),
            "UnixMilli" => self.unix() * 1000 + self.nanoseconds / 1_000_000,
            "UnixMicro" => self.unix() * 1_000_000 + self.nanoseconds / 1000,
            "UnixNano" => self.unix().checked_mul(1_000_000_000)?.checked_add(self.nanoseconds)?,
            "Year" => self.year,
            "Day" => self.day,
            "Hour" => self.seconds_of_day / 3600,
            "Minute" => self.seconds_of_day / 60 % 60,
            "Second" => self.seconds_of_day % 60,
            "Nanosecond" => self.nanoseconds,
            "YearDay" => self.day_of_year(),
            _ => return None,
        })
    }

    fn day_of_year(&self) -> i64 {
        let first = Self { month: 1, day: 1, ..*self };
        self.days() - first.days() + 1
    }

    /// Whether it is Go's zero: the beginning of the year 1.
    pub(super) fn is_zero(&self) -> bool {
        self.unix() == -62_135_596_800 && self.nanoseconds == 0
    }

    /// The name of the month or of the day of the week.
    pub(super) fn name(&self, method: &str) -> Option<&'static str> {
        match method {
            "Month" => MONTHS.get(self.month - 1).copied(),
            "Weekday" => Some(self.weekday()),
            _ => None,
        }
    }

    fn weekday(&self) -> &'static str {
        // The first of January 1970 was a Thursday.
        let day = (self.days() + 4).rem_euclid(7);
        usize::try_from(day).ok().and_then(|day| DAYS.get(day)).copied().unwrap_or_default()
    }

    /// Prints it as an example shows how: `2006-01-02 15:04:05.000 -0700 MST`.
    ///
    /// Source: Go, `time.Time.Format`.
    pub(super) fn format(&self, layout: &str) -> String {
        let mut out = String::new();
        let mut rest = layout;
        'text: while let Some(first) = rest.chars().next() {
            if let Some((shown, behind)) = self.fraction(rest) {
                out.push_str(&shown);
                rest = behind;
                continue;
            }
            for part in PARTS {
                let Some(behind) = rest.strip_prefix(part) else { continue };
                // A word that only begins so is none: `Janus`.
                let is_word = part == "Jan" && behind.starts_with(|next: char| next.is_lowercase());
                if !is_word {
                    out.push_str(&self.part(part));
                    rest = behind;
                    continue 'text;
                }
            }
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
        out
    }

    /// A point or a comma with zeros or nines behind it, and no digit behind these.
    fn fraction<'l>(&self, layout: &'l str) -> Option<(String, &'l str)> {
        let point = layout.chars().next().filter(|first| matches!(first, '.' | ','))?;
        let digit = layout.chars().nth(1).filter(|digit| matches!(digit, '0' | '9'))?;
        let digits = layout[1..].bytes().take_while(|byte| char::from(*byte) == digit).count();
        let behind = &layout[1 + digits..];
        // Digits of something else do not end here.
        let is_number = behind.starts_with(|next: char| next.is_ascii_digit());
        if is_number {
            return None;
        }
        let mut shown = format!("{:09}", self.nanoseconds);
        shown.truncate(digits);
        if digit == '9' {
            shown.truncate(shown.trim_end_matches('0').len());
            if shown.is_empty() {
                return Some((String::new(), behind));
            }
        }
        Some((format!("{point}{shown}"), behind))
    }

    fn part(&self, part: &str) -> String {
        let (hour, minute) = (self.seconds_of_day / 3600, self.seconds_of_day / 60 % 60);
        let second = self.seconds_of_day % 60;
        let of_twelve = if hour % 12 == 0 { 12 } else { hour % 12 };
        let month = MONTHS.get(self.month - 1).copied().unwrap_or_default();
        match part {
            "January" => month.to_owned(),
            "Jan" => month[..SHORT].to_owned(),
            "Monday" => self.weekday().to_owned(),
            "Mon" => self.weekday()[..SHORT].to_owned(),
            "2006" => format!("{:04}", self.year),
            "_2006" => format!("_{:04}", self.year),
            "06" => format!("{:02}", self.year.rem_euclid(100)),
            "01" => format!("{:02}", self.month),
            "1" => self.month.to_string(),
            "002" => format!("{:03}", self.day_of_year()),
            "02" => format!("{:02}", self.day),
            "_2" => format!("{:2}", self.day),
            "2" => self.day.to_string(),
            "15" => format!("{hour:02}"),
            "03" => format!("{of_twelve:02}"),
            "3" => of_twelve.to_string(),
            "04" => format!("{minute:02}"),
            "4" => minute.to_string(),
            "05" => format!("{second:02}"),
            "5" => second.to_string(),
            "PM" => if hour >= 12 { "PM" } else { "AM" }.to_owned(),
            "pm" => if hour >= 12 { "pm" } else { "am" }.to_owned(),
            "MST" if self.offset == 0 => "UTC".to_owned(),
            "MST" if self.offset % 3600 == 0 => self.zone("-07"),
            "MST" => self.zone("-0700"),
            zone if zone.starts_with('Z') && self.offset == 0 => "Z".to_owned(),
            zone => self.zone(zone),
        }
    }

    /// The zone, as an example shows it: with seconds or without, with colons or without.
    fn zone(&self, layout: &str) -> String {
        let sign = if self.offset < 0 { '-' } else { '+' };
        let colon = if layout.contains(':') { ":" } else { "" };
        let all = self.offset.abs();
        let parts = layout.bytes().filter(u8::is_ascii_digit).count() / 2;
        let numbers = [all / 3600, all / 60 % 60, all % 60];
        let numbers: Vec<String> =
            numbers.iter().take(parts).map(|number| format!("{number:02}")).collect();
        format!("{sign}{}", numbers.join(colon))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_examples() {
        let check = |layout: &str, expected: &str| {
            let moment = Moment::parse("2026-11-05T23:04:09.120450Z").unwrap();
            assert_eq!(moment.format(layout), expected, "{layout}");
        };
        check("2006-01-02T15:04:05Z07:00", "2026-11-05T23:04:09Z");
        check("2006-01-02 15:04:05.999999999 -0700 MST", "2026-11-05 23:04:09.12045 +0000 UTC");
        check("15:04:05.000", "23:04:09.120");
        check("15:04:05,999", "23:04:09,12");
        check("Mon Jan _2 3:04PM 06", "Thu Nov  5 11:04PM 26");
        check("Monday, 02-January (002) 03pm", "Thursday, 05-November (309) 11pm");
        check("1/2/2006 4:5", "11/5/2026 4:9");
        check("-07 -07:00 Z0700", "+00 +00:00 Z");
        check("Janus at", "Janus at");
        check("", "");
    }

    #[test]
    fn zones_are_kept() {
        let moment = Moment::parse("2026-02-28T00:30:00-05:30").unwrap();
        assert_eq!(moment.format("02 15:04 MST -0700 Z07:00"), "28 00:30 -0530 -0530 -05:30");
        assert_eq!(moment.number("Unix"), Some(1_772_258_400));
        assert_eq!((moment.number("YearDay"), moment.name("Month")), (Some(59), Some("February")));
        assert_eq!(moment.number("Nope"), None);
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "2026-11-05", "2026-13-05T00:00:00Z", "xT00:00:00Z", "2026-1-1T0:0Z"] {
            assert!(Moment::parse(text).is_none(), "{text}");
        }
        assert_eq!(Moment::parse("0001-01-01T00:00:00Z").unwrap().unix(), -62_135_596_800);
        assert_eq!(Moment::parse("1970-01-01T00:00:00Z").unwrap().weekday(), "Thursday");
    }
}
