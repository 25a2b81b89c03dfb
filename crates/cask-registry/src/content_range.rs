//! The header `Content-Range`, and the `Range` of upload sessions.

use cask_http::Response;

/// `bytes first-last/complete`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContentRange {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) complete: Option<u64>,
}

impl ContentRange {
    /// The range of an answer, if it says exactly one.
    pub(crate) fn of(response: &Response) -> Option<Self> {
        Self::parse(response.header(http::header::CONTENT_RANGE)?)
    }

    /// How many bytes there are where none of those that were asked for are: `bytes */complete`.
    pub(crate) fn complete_of(response: &Response) -> Option<u64> {
        let text = response.header(http::header::CONTENT_RANGE)?.strip_prefix("bytes */")?;
        decimal(text).filter(|(_, rest)| rest.is_empty()).map(|(complete, _)| complete)
    }

    /// Source: RFC 9110, section 14.4; containers/image, `docker/body_reader.go`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (first, rest) = decimal(text.strip_prefix("bytes ")?)?;
        let (last, rest) = decimal(rest.strip_prefix('-')?)?;
        let (complete, rest) = match rest.strip_prefix('/')? {
            rest if rest.starts_with('*') => (None, &rest[1..]),
            rest => decimal(rest).map(|(number, rest)| (Some(number), rest))?,
        };
        rest.is_empty().then_some(Self { first, last, complete })
    }
}

/// How many bytes an upload session has: `0-N`, where some say `bytes=0-N`.
///
/// Nothing at all is `0-0` in the field, which would also be one byte: then one byte is sent
/// twice, at an offset that the registry refuses, and the upload starts anew.
pub(crate) fn received_bytes(range: &str) -> Option<u64> {
    let range = range.trim().trim_start_matches("bytes").trim_start_matches(['=', ' ']);
    let (first, rest) = decimal(range)?;
    let (last, rest) = decimal(rest.strip_prefix('-')?)?;
    match (first, last, rest) {
        (0, 0, "") => Some(0),
        (0, last, "") => last.checked_add(1),
        _ => None,
    }
}

/// A number at the start of a text, and what follows it.
pub(crate) fn decimal(text: &str) -> Option<(u64, &str)> {
    let end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}
