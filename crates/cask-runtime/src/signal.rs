//! Signals by name and by number.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind};

/// A signal. `Display` is its name, `SIGTERM`, or its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Signal(i32);

/// Source: signal(7), and `include/uapi/asm-generic/signal.h`, by number from 1.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
/// The first and the last real-time signal, as the C library counts them.
const REAL_TIME: (i32, i32) = (34, 64);

impl Signal {
    /// The request to end.
    pub const TERM: Self = Self(15);
    /// The end.
    pub const KILL: Self = Self(9);
    /// The terminal is gone.
    pub const HUP: Self = Self(1);
    /// The interrupt of a terminal.
    pub const INT: Self = Self(2);

    /// The signal of a number, if there is one.
    pub fn from_number(number: i32) -> Option<Self> {
        (1..=64).contains(&number).then_some(Self(number))
    }

    /// Its number.
    pub fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = usize::try_from(self.0 - 1).ok().and_then(|place| NAMES.get(place));
        match known {
            Some(name) => write!(f, "SIG{name}"),
            None if self.0 == REAL_TIME.0 => f.write_str("SIGRTMIN"),
            None if self.0 > REAL_TIME.0 => write!(f, "SIGRTMIN+{}", self.0 - REAL_TIME.0),
            None => write!(f, "{}", self.0),
        }
    }
}

impl FromStr for Signal {
    type Err = Error;

    /// Reads a number or a name in any case, with or without `SIG`: `TERM`, `sigterm`, `15`, `RTMIN+3`.
    fn from_str(text: &str) -> Result<Self, Error> {
        read(text).ok_or_else(|| {
            Error::new(ErrorKind::InvalidSpec, "read the signal", format_args!("{text:?}"))
                .with_detail("there is no signal of this name")
                .with_hint(
                    "signals are named as in signal(7), such as TERM, or numbered from 1 to 64",
                )
        })
    }
}

fn read(text: &str) -> Option<Signal> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Signal::from_number(text.parse().ok()?);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(place) = NAMES.iter().position(|known| *known == name) {
        return Some(Signal(i32::try_from(place).ok()? + 1));
    }
    match name {
        "IOT" => return Some(Signal(6)),
        "POLL" => return Some(Signal(29)),
        "CLD" => return Some(Signal(17)),
        _ => {}
    }
    let number = if let Some(rest) = name.strip_prefix("RTMIN") {
        let plus = if rest.is_empty() { 0 } else { rest.strip_prefix('+')?.parse().ok()? };
        REAL_TIME.0.checked_add(plus)?
    } else {
        let rest = name.strip_prefix("RTMAX")?;
        let minus: i32 = if rest.is_empty() { 0 } else { rest.strip_prefix('-')?.parse().ok()? };
        REAL_TIME.1.checked_sub(minus)?
    };
    (REAL_TIME.0..=REAL_TIME.1).contains(&number).then_some(Signal(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_read() {
        let check = |text: &str, expected: Option<i32>| {
            assert_eq!(text.parse::<Signal>().ok().map(Signal::number), expected, "{text}");
        };
        check("TERM", Some(15));
        check("sigterm", Some(15));
        check("15", Some(15));
        check("KILL", Some(9));
        check("SYS", Some(31));
        check("RTMIN+3", Some(37));
        check("SIGRTMIN", Some(34));
        check("RTMAX-1", Some(63));
        check("64", Some(64));
        for wrong in ["", "0", "65", "SIG", "TERMS", "-1", "RTMIN+31", "RTMIN-1", "RTMAX+1"] {
            check(wrong, None);
        }
    }

    #[test]
    fn what_is_printed_is_read() {
        for number in (1..=31).chain(34..=64) {
            let signal = Signal::from_number(number).unwrap();
            assert_eq!(signal.to_string().parse::<Signal>().unwrap(), signal);
        }
    }
}
