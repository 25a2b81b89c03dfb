//! What registries say when they refuse.

use cask_http::Response;
use serde::Deserialize;

use crate::ErrorKind;
use crate::challenge::Challenge;

/// How much of an explanation is read, and how much of one that is not JSON is shown.
const MAX_ERROR_BYTES: usize = 1 << 20;
const SHOWN_BYTES: usize = 50;
/// The most that is shown of a registry's own message.
const MAX_MESSAGE_CHARS: usize = 1000;

/// An answer that is an error.
#[derive(Clone, Debug)]
pub(crate) struct Explained {
    pub(crate) status: u16,
    reason: String,
    /// A repository that one may not see is answered like one that one is not logged in for.
    insufficient_scope: bool,
    errors: Vec<ApiError>,
    body: Vec<u8>,
}

#[derive(Clone, Debug, Deserialize)]
struct Document {
    #[serde(default)]
    errors: Vec<ApiError>,
}

/// The older form, and that of token services.
#[derive(Clone, Debug, Deserialize)]
struct Details {
    details: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ApiError {
    code: Option<serde_json::Value>,
    message: Option<String>,
}

/// The codes of the specification, and what they mean where the registry adds nothing.
const CODES: [(&str, &str); 18] = [
    ("UNSUPPORTED", "The operation is unsupported."),
    ("UNAUTHORIZED", "authentication required"),
    ("DENIED", "requested access to the resource is denied"),
    ("UNAVAILABLE", "service unavailable"),
    ("TOOMANYREQUESTS", "too many requests"),
    ("DIGEST_INVALID", "provided digest did not match uploaded content"),
    ("SIZE_INVALID", "provided length did not match content length"),
    ("NAME_INVALID", "invalid repository name"),
    ("TAG_INVALID", "manifest tag did not match URI"),
    ("NAME_UNKNOWN", "repository name not known to registry"),
    ("MANIFEST_UNKNOWN", "manifest unknown"),
    ("MANIFEST_INVALID", "manifest invalid"),
    ("MANIFEST_UNVERIFIED", "manifest failed signature verification"),
    ("MANIFEST_BLOB_UNKNOWN", "blob unknown to registry"),
    ("BLOB_UNKNOWN", "blob unknown to registry"),
    ("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry"),
    ("BLOB_UPLOAD_INVALID", "blob upload invalid"),
    ("RANGE_INVALID", "invalid content range"),
];

impl ApiError {
    fn code(&self) -> String {
        match &self.code {
            Some(serde_json::Value::String(code)) => code.clone(),
            Some(serde_json::Value::Number(code)) => code.to_string(),
            _ => String::new(),
        }
    }

    /// What is said: `name unknown: repository name not known to registry`, but each thing once.
    fn text(&self) -> String {
        let code = self.code();
        let message = clean(self.message.as_deref().unwrap_or_default());
        let Some((_, usual)) = CODES.iter().find(|(known, _)| *known == code) else {
            let message = if message.is_empty() { clean(&code) } else { message };
            return format!("unknown: {message}");
        };
        let message = if message.is_empty() { (*usual).to_owned() } else { message };
        let name = code.to_ascii_lowercase().replace('_', " ");
        if message == name { message } else { format!("{name}: {message}") }
    }
}

impl Explained {
    pub(crate) async fn read(response: Response) -> Self {
        let status = response.status();
        // HTTP/2 has no reason, and that of HTTP/1 is whatever the server likes.
        let reason = status.canonical_reason().unwrap_or_default().to_owned();
        let insufficient_scope = Challenge::all(response.headers())
            .iter()
            .any(|challenge| challenge.get("error") == Some("insufficient_scope"));
        let body = response.read_prefix(MAX_ERROR_BYTES).await;
        Self::new(status.as_u16(), reason, insufficient_scope, body.to_vec())
    }

    pub(crate) fn new(
        status: u16,
        reason: String,
        insufficient_scope: bool,
        body: Vec<u8>,
    ) -> Self {
        let mut errors = serde_json::from_slice::<Document>(&body)
            .map(|document| document.errors)
            .unwrap_or_default();
        if errors.is_empty()
            && let Ok(Details { details }) = serde_json::from_slice(&body)
        {
            let code = match status {
                401 => Some("UNAUTHORIZED".into()),
                429 => Some("TOOMANYREQUESTS".into()),
                _ => None,
            };
            errors.push(ApiError { code, message: Some(details) });
        }
        Self { status, reason, insufficient_scope, errors, body }
    }

    /// The first code of the registry.
    pub(crate) fn code(&self) -> Option<&str> {
        self.errors.iter().find_map(|error| error.code.as_ref()?.as_str())
    }

    fn has(&self, codes: &[&str]) -> bool {
        self.errors.iter().any(|error| codes.contains(&error.code().as_str()))
    }

    pub(crate) fn kind(&self) -> ErrorKind {
        match self.status {
            401 => ErrorKind::Unauthorized,
            403 => ErrorKind::Denied,
            429 => ErrorKind::RateLimited,
            _ if self.has(&["TOOMANYREQUESTS"]) => ErrorKind::RateLimited,
            _ if self.has(&["DENIED"]) => ErrorKind::Denied,
            _ if self.has(&["UNAUTHORIZED"]) => ErrorKind::Unauthorized,
            404 | 410 => ErrorKind::NotFound,
            405 | 415 | 501 => ErrorKind::Unsupported,
            _ if self.has(&["UNSUPPORTED"]) => ErrorKind::Unsupported,
            408 | 500.. => ErrorKind::Network,
            413 => ErrorKind::LimitExceeded,
            _ if self.has(&["DIGEST_INVALID"]) => ErrorKind::DigestMismatch,
            _ if self.has(&["SIZE_INVALID"]) => ErrorKind::SizeMismatch,
            _ if self.has(&["MANIFEST_INVALID", "TAG_INVALID", "MANIFEST_UNVERIFIED"]) => {
                ErrorKind::ManifestRefused
            }
            _ => ErrorKind::Corrupt,
        }
    }

    /// Whether the registry does not take a manifest because of what it is.
    pub(crate) fn refuses_manifest(&self) -> bool {
        matches!(self.status, 405 | 415)
            || ((400..500).contains(&self.status)
                && self.has(&["MANIFEST_INVALID", "TAG_INVALID", "UNSUPPORTED"]))
    }

    /// Source: containers/image, `docker/errors.go`, `registryHTTPResponseToError`.
    pub(crate) fn text(&self) -> String {
        if !(400..500).contains(&self.status) {
            let mut text = format!("received unexpected HTTP status: {}", self.status);
            if !self.reason.is_empty() {
                text.push(' ');
                text.push_str(&clean(&self.reason));
            }
            if let Some(error) = self.errors.first() {
                text.push_str(": ");
                text.push_str(&error.text());
            }
            return text;
        }
        match self.errors.first() {
            _ if self.insufficient_scope => "requested access to the resource is denied".to_owned(),
            Some(error) => error.text(),
            None if self.status == 401 => "authentication required".to_owned(),
            None => {
                let shown = &self.body[..self.body.len().min(SHOWN_BYTES)];
                let more = if shown.len() < self.body.len() { "..." } else { "" };
                let text = String::from_utf8_lossy(shown);
                format!("StatusCode: {}, {:?}{more}", self.status, text)
            }
        }
    }
}

/// A text from outside as it may be shown: on one line, and not too long.
pub(crate) fn clean(text: &str) -> String {
    let shown: String = text
        .chars()
        .take(MAX_MESSAGE_CHARS)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    shown.trim().to_owned()
}
