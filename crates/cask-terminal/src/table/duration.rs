//! Ages for people.

use std::time::Duration;

/// An approximation of a duration in words: `About a minute`, `4 hours`.
///
/// Source: `units.HumanDuration`.
#[must_use]
pub fn human_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let minutes = seconds / 60;
    // To the nearest hour.
    let hours = seconds.saturating_add(1800) / 3600;
    match () {
        () if seconds < 1 => "Less than a second".to_owned(),
        () if seconds == 1 => "1 second".to_owned(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".to_owned(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".to_owned(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

/// An age in words: `2 hours ago`.
#[must_use]
pub fn ago(age: Duration) -> String {
    human_duration(age) + " ago"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_worded_as_go_units_words_them() {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        const DAY: u64 = 24 * HOUR;
        let check = |seconds: u64, expected: &str| {
            assert_eq!(human_duration(Duration::from_secs(seconds)), expected);
        };
        assert_eq!(human_duration(Duration::from_millis(450)), "Less than a second");
        check(1, "1 second");
        check(45, "45 seconds");
        check(MINUTE, "About a minute");
        check(MINUTE + 40, "About a minute");
        check(3 * MINUTE, "3 minutes");
        check(35 * MINUTE + 40, "35 minutes");
        check(59 * MINUTE + 59, "59 minutes");
        check(HOUR, "About an hour");
        check(HOUR + 45 * MINUTE, "2 hours");
        check(3 * HOUR, "3 hours");
        check(3 * HOUR + 59 * MINUTE + 30, "4 hours");
        check(24 * HOUR, "24 hours");
        check(DAY + 12 * HOUR, "36 hours");
        check(2 * DAY, "2 days");
        check(7 * DAY, "7 days");
        check(13 * DAY + 5 * HOUR, "13 days");
        check(2 * 7 * DAY, "2 weeks");
        check(3 * 7 * DAY + 4 * DAY, "3 weeks");
        check(30 * DAY, "4 weeks");
        check(60 * DAY, "2 months");
        check(365 * DAY, "12 months");
        check(24 * 30 * DAY + 5 * DAY, "24 months");
        check(730 * DAY, "2 years");
        check(3 * 365 * DAY, "3 years");
        check(u64::MAX - 1800, "584942417355 years");
        assert_eq!(ago(Duration::from_secs(2 * HOUR)), "2 hours ago");
    }
}
