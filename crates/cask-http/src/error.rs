//! Why there is no answer.

use std::error::Error as StdError;
use std::fmt;

use http::Method;
use url::Url;

use crate::{BoxError, redact_url};

/// Why a request got no answer, or an answer no end.
///
/// `Display` names the request as `Get "https://host/v2/"` and says why; the
/// [`source`](StdError::source) is there only for errors of the body that was to be sent, and is
/// then the very error that the body gave. No secret is in either.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    method: Method,
    url: String,
    detail: String,
    source: Option<BoxError>,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No connection was made: the name is not known, the port is closed, the host unreachable.
    Connect,
    /// The server's certificate is not to be trusted, or TLS failed otherwise while connecting.
    Certificate,
    /// The server does not speak TLS: probably plain HTTP.
    NotTls,
    /// A deadline passed.
    Timeout,
    /// Too few bytes moved for too long.
    Stalled,
    /// The connection broke after it was made, or the peer does not speak HTTP.
    Interrupted,
    /// The body that was to be sent could not be read; the source is its error.
    Body,
    /// A redirect leads where it must not, nowhere, or in a circle.
    Redirect,
    /// The answer is larger than the caller's limit.
    LimitExceeded,
    /// Certificates, keys, proxies or headers as they were given are of no use.
    Setup,
}

impl ErrorKind {
    /// Whether another try may succeed where this one failed.
    ///
    /// Connections that could not be made are among them: whether the host was there before is
    /// for the caller to know.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Connect | Self::Timeout | Self::Stalled | Self::Interrupted)
    }
}

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        method: &Method,
        url: &Url,
        detail: impl Into<String>,
    ) -> Self {
        Self(Box::new(Inner {
            kind,
            method: method.clone(),
            url: redact_url(url),
            detail: detail.into(),
            source: None,
        }))
    }

    pub(crate) fn with_source(mut self, source: BoxError) -> Self {
        self.0.source = Some(source);
        self
    }

    /// Tells what the HTTP library says in our words.
    pub(crate) fn from_reqwest(error: &reqwest::Error, method: &Method, url: &Url) -> Self {
        let mut kind = if error.is_connect() {
            ErrorKind::Connect
        } else if error.is_timeout() {
            ErrorKind::Timeout
        } else if error.is_builder() {
            ErrorKind::Setup
        } else {
            ErrorKind::Interrupted
        };
        let mut detail = None;
        let mut last: &(dyn StdError + 'static) = error;
        while let Some(cause) = last.source() {
            last = cause;
            if let Some(tls) = find_tls(last) {
                let is_plain = matches!(
                    tls,
                    rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)
                );
                kind = match error.is_connect() {
                    // The words of Go, which scripts search for.
                    true if is_plain => {
                        detail = Some("http: server gave HTTP response to HTTPS client".to_owned());
                        ErrorKind::NotTls
                    }
                    true => ErrorKind::Certificate,
                    false => kind,
                };
                detail = detail.or_else(|| Some(describe_tls(tls)));
                break;
            }
            if let Some(io) = last.downcast_ref::<std::io::Error>() {
                detail = describe_io(io).or(detail);
            }
        }
        let mut detail = detail.unwrap_or_else(|| match last.downcast_ref::<reqwest::Error>() {
            Some(_) => if error.is_timeout() { "timeout" } else { "no answer" }.to_owned(),
            None => last.to_string(),
        });
        if kind == ErrorKind::Connect && detail.contains("failed to lookup address") {
            detail = format!("lookup {}: no such host", url.host_str().unwrap_or_default());
        }
        Self::new(kind, method, url, detail)
    }

    /// What went wrong, for a caller to act upon.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The URL, without secrets.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// Why, without the request.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Takes the error that the body gave.
    pub fn into_source(self) -> Option<BoxError> {
        self.0.source
    }
}

/// What is wrong with a certificate, in the words of Go, which scripts search for.
///
/// Source: Go, `crypto/x509/verify.go`, `CertificateInvalidError`, `HostnameError` and `UnknownAuthorityError`.
fn describe_tls(error: &rustls::Error) -> String {
    use rustls::CertificateError as Wrong;
    let rustls::Error::InvalidCertificate(wrong) = error else { return format!("tls: {error}") };
    let words = match wrong {
        Wrong::UnknownIssuer => "certificate signed by unknown authority".to_owned(),
        // One that signed itself, as nobody else did.
        Wrong::Other(_) if format!("{wrong:?}").contains("CaUsedAsEndEntity") => {
            "certificate signed by unknown authority".to_owned()
        }
        Wrong::Expired
        | Wrong::ExpiredContext { .. }
        | Wrong::NotValidYet
        | Wrong::NotValidYetContext { .. } => {
            format!("certificate has expired or is not yet valid: {wrong}")
        }
        Wrong::NotValidForNameContext { expected, presented } => {
            // They are shown as DnsName("x").
            let name = |shown: &String| shown.split('"').nth(1).unwrap_or(shown).to_owned();
            let presented: Vec<String> = presented.iter().map(name).collect();
            let presented = presented.join(", ");
            format!("certificate is valid for {presented}, not {}", expected.to_str())
        }
        _ => return format!("tls: {error}"),
    };
    format!("tls: failed to verify certificate: x509: {words}")
}

fn find_tls<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut error = error;
    loop {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        // The source of such an error is not what it wraps, but that one's source.
        error = error.downcast_ref::<std::io::Error>()?.get_ref()?;
    }
}

fn describe_io(error: &std::io::Error) -> Option<String> {
    use std::io::ErrorKind as Io;
    let text = match error.kind() {
        Io::ConnectionRefused => "connect: connection refused",
        Io::ConnectionReset => "connection reset by peer",
        Io::BrokenPipe => "broken pipe",
        Io::TimedOut => "connection timed out",
        Io::UnexpectedEof => "unexpected EOF",
        Io::HostUnreachable => "connect: no route to host",
        Io::NetworkUnreachable => "connect: network is unreachable",
        _ => return error.get_ref().is_none().then(|| error.to_string()),
    };
    Some(text.to_owned())
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = self.0.method.as_str();
        let (first, rest) = method.split_at(1.min(method.len()));
        write!(f, "{first}{} \"{}\": {}", rest.to_ascii_lowercase(), self.0.url, self.0.detail)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use rustls::{CertificateError, Error, OtherError};

    use super::*;

    #[test]
    fn what_is_wrong_with_a_certificate_is_told_in_the_words_of_go() {
        let check = |wrong: CertificateError, expected: &str| {
            let told = describe_tls(&Error::InvalidCertificate(wrong));
            assert!(told.contains(expected), "{told}");
        };
        let unknown = "x509: certificate signed by unknown authority";
        check(CertificateError::UnknownIssuer, unknown);
        #[derive(Debug)]
        struct CaUsedAsEndEntity;
        impl fmt::Display for CaUsedAsEndEntity {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("other")
            }
        }
        impl StdError for CaUsedAsEndEntity {}
        let own = OtherError(std::sync::Arc::new(CaUsedAsEndEntity));
        check(CertificateError::Other(own), unknown);
        check(CertificateError::Expired, "x509: certificate has expired or is not yet valid");
        let expected = "r.example".try_into().expect("it is a name");
        let presented = vec!["DnsName(\"other.example\")".to_owned()];
        check(
            CertificateError::NotValidForNameContext { expected, presented },
            "x509: certificate is valid for other.example, not r.example",
        );
        check(CertificateError::Revoked, "tls: ");
    }
}
