//! What a daemon says in words.

use cask_json::{Fields, Rules, parse};
use cask_transport::{Error, ErrorKind};
use http::StatusCode;

/// The most bytes of an error, or of one line of progress.
pub(crate) const MAX_MESSAGE_BYTES: usize = 256 << 10;

/// How much of a message is shown.
const MAX_SHOWN_CHARS: usize = 2000;

fn rules() -> Rules {
    Rules::new(MAX_MESSAGE_BYTES as u64)
}

/// The error of an answer.
///
/// Source: moby/moby, `client.checkResponseErr`, for the words.
pub(crate) fn refusal(operation: &'static str, status: StatusCode, body: &[u8]) -> Error {
    let kind = match status {
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        StatusCode::UNAUTHORIZED => ErrorKind::Unauthorized,
        StatusCode::FORBIDDEN => ErrorKind::Denied,
        StatusCode::TOO_MANY_REQUESTS => ErrorKind::RateLimited,
        StatusCode::NOT_IMPLEMENTED | StatusCode::METHOD_NOT_ALLOWED => ErrorKind::Unsupported,
        _ => ErrorKind::Io,
    };
    let said = message_of(body).unwrap_or_else(|| shown(&String::from_utf8_lossy(body)));
    let said = if said.is_empty() { format!("HTTP status {status}") } else { said };
    Error::new(kind, operation, "").with_detail(format!("Error response from daemon: {said}"))
}

fn message_of(body: &[u8]) -> Option<String> {
    let document = parse(body, rules()).ok()?;
    let fields = Fields::of_any_case(document.root()).ok()?;
    Some(shown(fields.string("message").ok()??)).filter(|text| !text.is_empty())
}

/// What a line of progress says went wrong, if it does.
///
/// Source: containers/image, `daemon.imageLoad`.
///
/// # Errors
/// If the line is no object of JSON.
pub(crate) fn reported_failure(line: &[u8]) -> Result<Option<String>, cask_json::Error> {
    let document = parse(line, rules())?;
    let fields = Fields::of_any_case(document.root())?;
    let detail = match fields.get("errorDetail")? {
        Some(detail) if !detail.is_null() => Some(Fields::of_any_case(detail)?.text("message")?),
        _ => None,
    };
    let detail = match detail {
        None => fields.nonempty("error")?,
        given => given,
    };
    Ok(detail.map(|text| shown(&text)))
}

/// Makes what a daemon says fit for one line.
fn shown(text: &str) -> String {
    let one_line = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut shown: String = one_line.take(MAX_SHOWN_CHARS).collect();
    if text.chars().nth(MAX_SHOWN_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_the_words_of_the_daemon() {
        let check = |status, body: &str, kind, text: &str| {
            let error = refusal("asking", StatusCode::from_u16(status).unwrap(), body.as_bytes());
            assert_eq!(error.kind(), kind, "{body}");
            assert_eq!(error.to_string(), format!("asking: Error response from daemon: {text}"));
        };
        let json = r#"{"message":"No such image: a\nb"}"#;
        check(404, json, ErrorKind::NotFound, "No such image: a b");
        check(500, "plain\u{1b}[2Jtext\n", ErrorKind::Io, "plain [2Jtext");
        check(403, "", ErrorKind::Denied, "HTTP status 403 Forbidden");
        check(401, r#"{"message":""}"#, ErrorKind::Unauthorized, r#"{"message":""}"#);
        check(400, &"x".repeat(3000), ErrorKind::Io, &format!("{}…", "x".repeat(2000)));
    }

    #[test]
    fn progress_tells_of_failures() {
        let check = |line: &str, expected: Option<&str>| {
            let found = reported_failure(line.as_bytes()).unwrap();
            assert_eq!(found.as_deref(), expected, "{line}");
        };
        check(r#"{"stream":"Loaded image: a:1\n"}"#, None);
        check(r#"{"errorDetail":null}"#, None);
        check(r#"{"errorDetail":{"message":"no"},"error":"other"}"#, Some("no"));
        check(r#"{"error":"old"}"#, Some("old"));
        assert!(reported_failure(b"loaded").is_err());
        assert!(reported_failure(b"[]").is_err());
    }
}
