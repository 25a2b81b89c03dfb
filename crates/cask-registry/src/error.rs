//! The one error of the crate.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use cask_http::{BoxError, ErrorKind as HttpKind, Response};

use crate::api_error::Explained;

/// What went wrong with a registry.
///
/// `Display` says what was being done, to what, and why, in the words that scripts know from
/// skopeo: `reading manifest nope in example.com/a/b: manifest unknown`. No secret is in it. The
/// [`source`](StdError::source) is there only if the error is of the body to upload or of the
/// keychain.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: Cow<'static, str>,
    subject: String,
    status: Option<u16>,
    code: Option<String>,
    detail: String,
    hint: Option<Cow<'static, str>>,
    source: Option<BoxError>,
}

/// The kinds of [`Error`]: one for each thing that a caller would do differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No such repository, manifest, tag, blob or upload.
    NotFound,
    /// Credentials are missing or wrong.
    Unauthorized,
    /// Who asks is not allowed to; or something is not done for safety's sake.
    Denied,
    /// The registry asks to slow down, still after all retries.
    RateLimited,
    /// The registry cannot be reached, answers that it is out of order, or the connection failed.
    Network,
    /// The registry refuses this manifest or tag; another type of manifest may be accepted.
    ManifestRefused,
    /// The bytes do not have the digest that names them.
    DigestMismatch,
    /// There are more or fewer bytes than announced.
    SizeMismatch,
    /// A stated limit was exceeded.
    LimitExceeded,
    /// The registry cannot do this.
    Unsupported,
    /// The answer is malformed, or contradicts itself or the question.
    Corrupt,
    /// The body to upload could not be read; the source is its error.
    Body,
    /// Certificates, keys, proxies or the keychain are of no use as they are set up.
    Setup,
}

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        operation: impl Into<Cow<'static, str>>,
        subject: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self(Box::new(Inner {
            kind,
            operation: operation.into(),
            subject: subject.into(),
            status: None,
            code: None,
            detail: detail.into(),
            hint: None,
            source: None,
        }))
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    pub(crate) fn with_source(mut self, source: BoxError) -> Self {
        self.0.source = Some(source);
        self
    }

    pub(crate) fn with_status(mut self, status: u16, code: Option<String>) -> Self {
        self.0.status = Some(status);
        self.0.code = code;
        self
    }

    /// What a caller can decide by.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was being done.
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// What it was done to: a name or a URL without secrets.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// The HTTP status of the answer, if the error is one.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The registry's code of the error, as `MANIFEST_UNKNOWN`, if it gave one.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// Why.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Takes the error that the body of an upload, or the keychain, gave.
    pub fn into_source(self) -> Option<BoxError> {
        self.0.source
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.operation)?;
        if !self.0.subject.is_empty() {
            write!(f, " {}", self.0.subject)?;
        }
        if self.0.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.0.detail) }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.to_string())
            .field("status", &self.0.status)
            .field("code", &self.0.code)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// What is being done, and to what: from which errors are made.
#[derive(Clone, Debug)]
pub(crate) struct Doing {
    operation: &'static str,
    subject: String,
}

impl Doing {
    pub(crate) fn new(operation: &'static str, subject: impl Into<String>) -> Self {
        Self { operation, subject: subject.into() }
    }

    pub(crate) fn fail(&self, kind: ErrorKind, detail: impl Into<String>) -> Error {
        Error::new(kind, self.operation, self.subject.clone(), detail)
    }

    /// An error of the connection.
    pub(crate) fn http(&self, error: cask_http::Error) -> Error {
        let kind = match error.kind() {
            HttpKind::LimitExceeded => ErrorKind::LimitExceeded,
            HttpKind::Redirect => ErrorKind::Denied,
            HttpKind::Body => ErrorKind::Body,
            HttpKind::Setup => ErrorKind::Setup,
            _ => ErrorKind::Network,
        };
        let hint = hint_of(error.kind());
        let mut made = self.fail(kind, error.to_string());
        if let Some(hint) = hint {
            made = made.with_hint(hint);
        }
        match error.into_source() {
            Some(source) => made.with_source(source),
            None => made,
        }
    }

    /// An answer that is an error.
    pub(crate) async fn status(&self, response: Response) -> Error {
        let explained = Explained::read(response).await;
        self.explained(&explained)
    }

    pub(crate) fn explained(&self, explained: &Explained) -> Error {
        let kind = explained.kind();
        let made = self
            .fail(kind, explained.text())
            .with_status(explained.status, explained.code().map(str::to_owned));
        match kind {
            ErrorKind::RateLimited => {
                made.with_hint("the registry limits requests: log in, wait, or use a mirror")
            }
            ErrorKind::Unauthorized => made.with_hint("check the credentials for the registry"),
            _ => made,
        }
    }
}

pub(crate) fn hint_of(kind: HttpKind) -> Option<&'static str> {
    match kind {
        HttpKind::Connect => Some("check the registry's name and port, the network and the proxy"),
        HttpKind::Certificate => {
            Some("if the registry's authority is your own, add its certificate for this registry")
        }
        HttpKind::NotTls => Some(
            "the registry speaks plain HTTP; --tls-verify=false, or insecure = true, allows that",
        ),
        _ => None,
    }
}
