//! What a client is told when its request is refused.

use std::borrow::Cow;
use std::fmt;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use crate::body::full_body;
use crate::{NameError, ResponseBody};

/// The codes of errors that clients know.
///
/// Source: OCI distribution specification, "Error Codes"; `UNKNOWN` and `UNAVAILABLE` are those of
/// the distribution project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalCode {
    /// `BLOB_UNKNOWN`
    BlobUnknown,
    /// `BLOB_UPLOAD_INVALID`
    BlobUploadInvalid,
    /// `BLOB_UPLOAD_UNKNOWN`
    BlobUploadUnknown,
    /// `DIGEST_INVALID`
    DigestInvalid,
    /// `MANIFEST_BLOB_UNKNOWN`
    ManifestBlobUnknown,
    /// `MANIFEST_INVALID`
    ManifestInvalid,
    /// `MANIFEST_UNKNOWN`
    ManifestUnknown,
    /// `NAME_INVALID`
    NameInvalid,
    /// `NAME_UNKNOWN`
    NameUnknown,
    /// `SIZE_INVALID`
    SizeInvalid,
    /// `UNAUTHORIZED`
    Unauthorized,
    /// `DENIED`
    Denied,
    /// `UNSUPPORTED`
    Unsupported,
    /// `TOOMANYREQUESTS`
    TooManyRequests,
    /// `UNAVAILABLE`
    Unavailable,
    /// `UNKNOWN`
    Unknown,
}

impl RefusalCode {
    /// The text of the code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Denied => "DENIED",
            Self::Unsupported => "UNSUPPORTED",
            Self::TooManyRequests => "TOOMANYREQUESTS",
            Self::Unavailable => "UNAVAILABLE",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// The status that goes with the code.
    pub fn status(self) -> StatusCode {
        match self {
            Self::BlobUnknown
            | Self::BlobUploadUnknown
            | Self::ManifestUnknown
            | Self::NameUnknown => StatusCode::NOT_FOUND,
            Self::BlobUploadInvalid
            | Self::DigestInvalid
            | Self::ManifestBlobUnknown
            | Self::ManifestInvalid
            | Self::NameInvalid
            | Self::SizeInvalid => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Denied => StatusCode::FORBIDDEN,
            Self::Unsupported => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// A refused request: a status, a code, a message, and headers that go with them.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    code: RefusalCode,
    message: Cow<'static, str>,
    detail: serde_json::Value,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// What the client is not told: it may name paths of this machine.
    internal: Option<String>,
}

/// For the access log: the error that the client was not told.
#[derive(Clone, Debug)]
pub(crate) struct InternalError(pub(crate) String);

impl Refusal {
    /// Refuses with the status that goes with the code.
    pub fn new(code: RefusalCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: code.status(),
            code,
            message: message.into(),
            detail: serde_json::Value::Null,
            headers: Vec::new(),
            internal: None,
        }
    }

    /// Refuses with another status.
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Adds what programs can read.
    pub fn with_detail(mut self, detail: serde_json::Value) -> Self {
        self.detail = detail;
        self
    }

    /// Adds a header. A value that is none is left out.
    pub fn with_header(mut self, name: HeaderName, value: impl AsRef<str>) -> Self {
        if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
            self.headers.push((name, value));
        }
        self
    }

    /// An error of this side, which the client is told nothing about but that there was one.
    pub(crate) fn internal(error: impl fmt::Display) -> Self {
        let mut refusal = Self::new(RefusalCode::Unknown, "unknown error");
        refusal.internal = Some(error.to_string());
        refusal
    }

    /// The response.
    pub fn into_response(self) -> Response<ResponseBody> {
        let mut error = serde_json::json!({
            "code": self.code.as_str(),
            "message": self.message,
        });
        if !self.detail.is_null() {
            error["detail"] = self.detail;
        }
        let text = serde_json::json!({ "errors": [error] }).to_string();
        let mut response = Response::new(full_body(text));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        if let Some(internal) = self.internal {
            response.extensions_mut().insert(InternalError(internal));
        }
        response
    }
}

impl From<cask_layout::Error> for Refusal {
    fn from(error: cask_layout::Error) -> Self {
        use cask_layout::ErrorKind;
        let internal = chain(&error);
        let mut refusal = match error.kind() {
            ErrorKind::Locked => Self::new(RefusalCode::Unavailable, "the repository is in use")
                .with_header(http::header::RETRY_AFTER, "1"),
            ErrorKind::LimitExceeded => {
                Self::new(RefusalCode::Denied, "the repository is at a limit of its layout")
            }
            _ => Self::new(RefusalCode::Unknown, "unknown error"),
        };
        refusal.internal = Some(internal);
        refusal
    }
}

impl From<NameError> for Refusal {
    fn from(error: NameError) -> Self {
        Self::new(RefusalCode::NameInvalid, error.to_string())
    }
}

/// An error and what lies beneath, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
