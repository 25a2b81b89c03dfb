//! What a registry was asked.

use http::{HeaderMap, Method};

/// A request that came in, and how it was answered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Seen {
    /// What was to be done.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// The query; empty if there is none.
    pub query: String,
    /// The fields of the head.
    pub headers: HeaderMap,
    /// The status of the answer; `None` while there is none, or if the connection was cut.
    pub status: Option<u16>,
    /// Numbers all requests of a registry.
    pub(super) number: u64,
}

impl Seen {
    /// The value of a field of the head, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether any field of the head, or the target, holds a text.
    pub fn mentions(&self, text: &str) -> bool {
        let target = self.path.contains(text) || self.query.contains(text);
        let in_value =
            |value: &[u8]| value.windows(text.len().max(1)).any(|w| w == text.as_bytes());
        target || self.headers.values().any(|value| in_value(value.as_bytes()))
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        if !self.query.is_empty() {
            write!(f, "?{}", self.query)?;
        }
        match self.status {
            Some(status) => write!(f, " {status}"),
            None => f.write_str(" -"),
        }
    }
}
