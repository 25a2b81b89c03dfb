//! The header `Range`.

/// What of a representation is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BytesRange {
    /// All of it: no range, or one that is to be ignored.
    Whole,
    /// From the first to the last byte, both included.
    Part { first: u64, last: u64 },
    /// Nothing of it.
    Unsatisfiable,
}

impl BytesRange {
    /// Reads a header value for content of a size. Malformed values, other units and several
    /// ranges are ignored, as they may be.
    ///
    /// Source: RFC 9110, section 14.2.
    pub(crate) fn parse(value: Option<&str>, size: u64) -> Self {
        let Some(value) = value else { return Self::Whole };
        let Some((unit, range)) = value.split_once('=') else { return Self::Whole };
        let Some((first, last)) = range.trim().split_once('-') else { return Self::Whole };
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return Self::Whole;
        }
        match (number(first), number(last)) {
            (Some(first), Some(last)) if first > last => Self::Whole,
            (Some(first), _) if first >= size && is_end(last) => Self::Unsatisfiable,
            (Some(first), Some(last)) => Self::Part { first, last: last.min(size - 1) },
            (Some(first), None) if last.is_empty() => Self::Part { first, last: size - 1 },
            (None, Some(0)) if first.is_empty() => Self::Unsatisfiable,
            (None, Some(_)) if first.is_empty() && size == 0 => Self::Unsatisfiable,
            (None, Some(suffix)) if first.is_empty() => {
                Self::Part { first: size.saturating_sub(suffix), last: size - 1 }
            }
            _ => Self::Whole,
        }
    }
}

fn is_end(text: &str) -> bool {
    text.is_empty() || number(text).is_some()
}

/// A number too large is as good as the largest.
fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

/// Reads the `Content-Range` of a chunk: `first-last`, and also `bytes first-last/…`.
pub(crate) fn chunk_range(value: &str) -> Option<(u64, u64)> {
    let value = value.trim();
    let value =
        value.strip_prefix("bytes").map_or(value, |rest| rest.trim_start_matches([' ', '=']));
    let value = value.split('/').next().unwrap_or_default();
    let (first, last) = value.split_once('-')?;
    let (first, last) = (number(first.trim())?, number(last.trim())?);
    // The largest number has no successor, and no chunk is that long.
    (first <= last && last < u64::MAX).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        use BytesRange::{Part, Unsatisfiable, Whole};
        fn check(value: &str, size: u64, expected: BytesRange) {
            assert_eq!(BytesRange::parse(Some(value), size), expected, "{value} of {size}");
        }
        check("bytes=0-", 5, Part { first: 0, last: 4 });
        check("bytes=1-2", 5, Part { first: 1, last: 2 });
        check("Bytes=1-99", 5, Part { first: 1, last: 4 });
        check("bytes=-2", 5, Part { first: 3, last: 4 });
        check("bytes=-9", 5, Part { first: 0, last: 4 });
        check("bytes=5-", 5, Unsatisfiable);
        check("bytes=5-9", 5, Unsatisfiable);
        check("bytes=-0", 5, Unsatisfiable);
        check("bytes=0-", 0, Unsatisfiable);
        check("bytes=-1", 0, Unsatisfiable);
        check("bytes=99999999999999999999-", 5, Unsatisfiable);
        check("bytes=1-99999999999999999999", 5, Part { first: 1, last: 4 });
        for ignored in [
            "",
            "x",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=3-1",
            "items=0-1",
            "bytes=0-1,3-4",
            "bytes=a-b",
            "bytes=+1-2",
        ] {
            check(ignored, 5, Whole);
        }
        assert_eq!(BytesRange::parse(None, 5), Whole);
    }

    #[test]
    fn chunk_ranges_are_read() {
        fn check(value: &str, expected: Option<(u64, u64)>) {
            assert_eq!(chunk_range(value), expected, "{value}");
        }
        check("0-4", Some((0, 4)));
        check("bytes 5-9/*", Some((5, 9)));
        check("bytes=5-9/10", Some((5, 9)));
        check("4-0", None);
        check("-4", None);
        check("0-99999999999999999999", None);
        check("x", None);
    }
}
