//! URLs as they may be shown.

use url::Url;

/// The query parameters of registries whose values are no secrets.
const HARMLESS: [&str; 13] = [
    "account",
    "artifactType",
    "client_id",
    "digest",
    "from",
    "last",
    "mount",
    "n",
    "next_page",
    "ns",
    "scope",
    "service",
    "tag",
];

/// A URL as it may be shown: without user, password and fragment, and with the values of only
/// those query parameters that are known to be no secrets. Signed URLs of storage services and the
/// state of an upload session are secrets.
///
/// ```
/// # use cask_http::redact_url;
/// let url = "https://u:p@s3.example/b?digest=sha256:ab&X-Amz-Signature=abc".parse()?;
/// assert_eq!(redact_url(&url), "https://s3.example/b?digest=sha256:ab&X-Amz-Signature=…");
/// # Ok::<(), url::ParseError>(())
/// ```
pub fn redact_url(url: &Url) -> String {
    let mut shown = url.clone();
    // Neither can be set on a URL without a host, and then there are none.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_fragment(None);
    shown.set_query(None);
    let mut text = String::from(shown);
    for (position, part) in url.query().unwrap_or_default().split('&').enumerate() {
        let (key, value) = part.split_once('=').unwrap_or(("", part));
        if part.is_empty() {
            continue;
        }
        text.push(if position == 0 { '?' } else { '&' });
        text.push_str(key);
        if !key.is_empty() {
            text.push('=');
        }
        text.push_str(if HARMLESS.contains(&key) { value } else { "…" });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_urls_are_not_shown() {
        let rows = [
            ("https://h/v2/", "https://h/v2/"),
            ("https://u:p@h/v2/?n=5&last=a#f", "https://h/v2/?n=5&last=a"),
            ("https://h/u?_state=s3cret", "https://h/u?_state=…"),
            ("https://h/u?s3cret", "https://h/u?…"),
            ("https://h/u?a=1&&digest=sha256:ab", "https://h/u?a=…&digest=sha256:ab"),
            ("http://[::1]:5000/v2/", "http://[::1]:5000/v2/"),
        ];
        for (url, expected) in rows {
            assert_eq!(redact_url(&Url::parse(url).unwrap()), expected);
        }
    }
}
