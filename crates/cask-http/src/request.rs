//! What is asked.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::{Origin, UploadBody};

/// A request. It can be sent several times.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) bound: Option<(Origin, HeaderMap)>,
    pub(crate) body: RequestBody,
    pub(crate) retried: bool,
    pub(crate) redirected: bool,
    pub(crate) response_deadline: Option<Duration>,
}

/// What is sent along.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum RequestBody {
    /// Nothing.
    #[default]
    Empty,
    /// Some bytes.
    Bytes(Bytes),
    /// A stream.
    Upload {
        /// The bytes.
        body: Arc<dyn UploadBody>,
        /// How many of the first bytes are left out.
        offset: u64,
        /// How many bytes are sent, exactly; all that follow, in chunks, if `None`.
        length: Option<u64>,
    },
}

impl Request {
    /// A request without headers or body.
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            bound: None,
            body: RequestBody::Empty,
            retried: true,
            redirected: true,
            response_deadline: None,
        }
    }

    /// Adds a header that everybody may see.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Adds a header that is a secret, or otherwise of the one origin only. It is sent to no other.
    #[must_use]
    pub fn bound_header(
        mut self,
        origin: &Origin,
        name: HeaderName,
        mut value: HeaderValue,
    ) -> Self {
        value.set_sensitive(true);
        let (bound_to, headers) =
            self.bound.get_or_insert_with(|| (origin.clone(), HeaderMap::new()));
        if bound_to == origin {
            headers.insert(name, value);
        }
        self
    }

    /// Sets what is sent along.
    #[must_use]
    pub fn body(mut self, body: RequestBody) -> Self {
        self.body = body;
        self
    }

    /// Sends the request once: the caller looks after retries.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.retried = false;
        self
    }

    /// Takes redirects for answers.
    #[must_use]
    pub fn without_redirects(mut self) -> Self {
        self.redirected = false;
        self
    }

    /// Sets another deadline for the head of the answer than the client's.
    #[must_use]
    pub fn response_deadline(mut self, deadline: Duration) -> Self {
        self.response_deadline = Some(deadline);
        self
    }

    /// The verb.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The URL.
    pub fn url(&self) -> &Url {
        &self.url
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Upload { offset, length, .. } => write!(f, "Upload({offset}, {length:?})"),
        }
    }
}
