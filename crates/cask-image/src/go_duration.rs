//! Durations in texts that a Go program writes too: histories, tables, templates.

use std::time::Duration;

/// A duration as Go prints it: `1h2m3.5s`, `94.7ms`, `0s`.
///
/// Source: Go, `time.Duration.String`.
pub fn go_duration(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    let fraction = |value: u128, unit: u128| {
        let (whole, rest) = (value / unit, value % unit);
        let digits = unit.ilog10() as usize;
        match rest {
            0 => whole.to_string(),
            rest => format!("{whole}.{}", format!("{rest:0digits$}").trim_end_matches('0')),
        }
    };
    match nanoseconds {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanoseconds}ns"),
        1_000..1_000_000 => format!("{}µs", fraction(nanoseconds, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", fraction(nanoseconds, 1_000_000)),
        _ => {
            let minutes = nanoseconds / 60_000_000_000;
            let seconds = fraction(nanoseconds % 60_000_000_000, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_printed_as_go_prints_them() {
        for (nanoseconds, expected) in [
            (0, "0s"),
            (7, "7ns"),
            (15, "15ns"),
            (1_500, "1.5µs"),
            (2_000_000, "2ms"),
            (94_739_962, "94.739962ms"),
            (1_754_914_870, "1.75491487s"),
            (30_000_000_000, "30s"),
            (60_000_000_000, "1m0s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
            (3_723_500_000_000, "1h2m3.5s"),
        ] {
            assert_eq!(go_duration(Duration::from_nanos(nanoseconds)), expected);
        }
    }
}
