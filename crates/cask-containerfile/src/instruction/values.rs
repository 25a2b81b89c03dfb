//! The values of flags and arguments.

use std::fmt;
use std::time::Duration;

/// Whether a name, in lower case, may be the name of a stage: `^[a-z][a-z0-9-_.]*$`.
pub(crate) fn is_stage_name(name: &str) -> bool {
    let rest =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(rest)
}

/// Whether a name that is none for BuildKit may be one for Buildah, which takes any and replaces variables in it:
/// nobody can mean a number by it.
pub(crate) fn is_possible_stage_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '$')
        && name.chars().all(|c| c.is_ascii_graphic())
}

/// Reads a truth value as Go's `strconv.ParseBool` does.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Reads a duration as Go does: `1h2m3.5s`. `None` if it is none, is negative or too long.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut nanoseconds: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at(end);
        let unit = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit);
        let scale: u64 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        nanoseconds = nanoseconds.checked_add(whole.checked_mul(scale)?)?;
        let mut place = scale;
        for digit in fraction.bytes() {
            place /= 10;
            nanoseconds = nanoseconds.checked_add(u64::from(digit - b'0') * place)?;
        }
        rest = behind;
    }
    (nanoseconds <= i64::MAX as u64).then(|| Duration::from_nanos(nanoseconds))
}

/// Reads a size with a unit of 1024, as `64m`, `1.5g` or `10KiB`.
pub(super) fn size(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim_start_matches(' ').to_ascii_lowercase();
    let power = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" if unit != "ib" && unit != "i" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * f64::from(1024).powi(power);
    // More is no size of anything.
    (bytes < 9e18).then_some(bytes as u64)
}

/// The fields of a line of comma-separated values; a field in double quotes may have commas.
pub(super) fn comma_separated(text: &str) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let Some(quoted) = rest.strip_prefix('"') else {
            let (field, behind) = match rest.split_once(',') {
                Some((field, behind)) => (field, Some(behind)),
                None => (rest, None),
            };
            if field.contains('"') {
                return None;
            }
            fields.push(field.to_owned());
            match behind {
                Some(behind) => rest = behind,
                None => return Some(fields),
            }
            continue;
        };
        let mut field = String::new();
        let mut tail = quoted;
        loop {
            let (part, behind) = tail.split_once('"')?;
            field.push_str(part);
            tail = behind;
            match behind.strip_prefix('"') {
                Some(more) => {
                    field.push('"');
                    tail = more;
                }
                None => break,
            }
        }
        fields.push(field);
        match tail.strip_prefix(',') {
            Some(behind) => rest = behind,
            None => return tail.is_empty().then_some(fields),
        }
    }
}

/// Ports of a container, one or more that follow each other, and their protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ports {
    /// The first number.
    pub first: u16,
    /// The last number, not less than the first.
    pub last: u16,
    /// The protocol, in lower case: `tcp`, `udp` or `sctp`.
    pub protocol: &'static str,
}

impl Ports {
    /// Each port as an image's config has it: `80/tcp`.
    pub fn each(self) -> impl Iterator<Item = String> {
        (self.first..=self.last).map(move |number| format!("{number}/{}", self.protocol))
    }
}

/// A word of EXPOSE that is no port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidPort {
    /// The word.
    pub word: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl fmt::Display for InvalidPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid containerPort: {}: {}", self.word.escape_debug(), self.reason)
    }
}

impl std::error::Error for InvalidPort {}

/// Reads a word of EXPOSE whose variables are replaced: `80`, `80/udp` or `8000-8010`.
///
/// What stands before a `:` (an address or a port of the host) is left out: it has never had an
/// effect.
///
/// # Errors
///
/// It is no port, or its protocol is none of tcp, udp and sctp.
pub fn parse_ports(word: &str) -> Result<Ports, InvalidPort> {
    let refuse = |reason| InvalidPort { word: word.to_owned(), reason };
    let own = word.rsplit(':').next().unwrap_or(word);
    let (range, protocol) = own.split_once('/').unwrap_or((own, ""));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "" | "tcp" => "tcp",
        "udp" => "udp",
        "sctp" => "sctp",
        _ => return Err(refuse("the protocol is not tcp, udp or sctp")),
    };
    if range.is_empty() {
        return Err(refuse("no port specified"));
    }
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let wrong = || refuse("a port is a number from 0 to 65535");
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last) = (number(first).ok_or_else(wrong)?, number(last).ok_or_else(wrong)?);
    if last < first {
        return Err(refuse("the range ends before it begins"));
    }
    Ok(Ports { first, last, protocol })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        fn check(text: &str, expected: Option<u64>) {
            assert_eq!(duration(text), expected.map(Duration::from_nanos), "{text}");
        }
        check("5s", Some(5_000_000_000));
        check("1h2m3.5s", Some(3_723_500_000_000));
        check(".5ms", Some(500_000));
        check("0", Some(0));
        check("0s", Some(0));
        check("1µs", Some(1_000));
        check("5", None);
        check("-5s", None);
        check("5d", None);
        check("", None);
        check(".s", None);
        check("1.2.3s", None);
        check("99999999999999999999h", None);
    }

    #[test]
    fn sizes_count_in_1024() {
        fn check(text: &str, expected: Option<u64>) {
            assert_eq!(size(text), expected, "{text}");
        }
        check("64", Some(64));
        check("64b", Some(64));
        check("1.5k", Some(1536));
        check("2MiB", Some(2 << 20));
        check("1 g", Some(1 << 30));
        check("x", None);
        check("1x", None);
        check("", None);
        check("1ib", None);
        check("99999p", None);
    }

    #[test]
    fn fields_may_be_quoted() {
        fn check(text: &str, expected: Option<&[&str]>) {
            let expected = expected.map(|all| all.iter().map(|s| (*s).to_owned()).collect());
            assert_eq!(comma_separated(text), expected, "{text}");
        }
        check("a=b,c", Some(&["a=b", "c"]));
        check("\"a=b,c\",d", Some(&["a=b,c", "d"]));
        check("\"a\"\"b\"", Some(&["a\"b"]));
        check("a,", Some(&["a", ""]));
        check("", Some(&[""]));
        check("a\"b", None);
        check("\"a", None);
        check("\"a\"b", None);
    }

    #[test]
    fn ports_have_numbers_and_protocols() {
        fn check(word: &str, expected: &str) {
            let found = match parse_ports(word) {
                Ok(ports) => ports.each().collect::<Vec<_>>().join(" "),
                Err(error) => error.reason.to_owned(),
            };
            assert_eq!(found, expected, "{word}");
        }
        check("80", "80/tcp");
        check("80/UDP", "80/udp");
        check("80-82/sctp", "80/sctp 81/sctp 82/sctp");
        check("8080:80", "80/tcp");
        check("80/icmp", "the protocol is not tcp, udp or sctp");
        check("65536", "a port is a number from 0 to 65535");
        check("+1", "a port is a number from 0 to 65535");
        check("", "no port specified");
        check("9-8", "the range ends before it begins");
    }
}
