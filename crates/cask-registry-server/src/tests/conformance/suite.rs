//! What checks.

use std::cell::Cell;

use cask_image::{Algorithm, Digest, Hasher};
use http::StatusCode;

use crate::tests::support::{Answer, Place, header};

/// A sentence of the specification.
pub(super) type Sentence = &'static str;

/// A request that the suite makes.
pub(super) struct Ask<'a> {
    pub(super) method: &'static str,
    pub(super) target: &'a str,
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: &'a [u8],
}

impl<'a> Ask<'a> {
    pub(super) fn new(method: &'static str, target: &'a str) -> Self {
        Self { method, target, headers: &[], body: b"" }
    }

    pub(super) fn headers(self, headers: &'a [(&'a str, &'a str)]) -> Self {
        Self { headers, ..self }
    }

    pub(super) fn body(self, body: &'a [u8]) -> Self {
        Self { body, ..self }
    }
}

/// A registry, and how much of it was checked.
pub(super) struct Suite {
    place: Place,
    checks: Cell<usize>,
}

impl Suite {
    pub(super) fn new() -> Self {
        Self { place: Place::new(), checks: Cell::new(0) }
    }

    /// How many checks there were.
    pub(super) fn checks(&self) -> usize {
        self.checks.get()
    }

    /// Asks, and checks the status of the answer.
    pub(super) async fn must(&self, sentence: Sentence, ask: Ask<'_>, statuses: &[u16]) -> Answer {
        let Ask { method, target, headers, body } = ask;
        let answer = self.place.call_with(method, target, headers, body).await;
        let status = answer.status();
        self.check(sentence, statuses.contains(&status.as_u16()), || {
            format!("{method} {target}: {status} {:?} {:?}", answer.headers(), answer.body())
        });
        answer
    }

    /// Asks, and checks that the answer is an error of these codes.
    pub(super) async fn refuses(&self, sentence: Sentence, ask: Ask<'_>, status: u16, code: &str) {
        let what = format!("{} {}", ask.method, ask.target);
        let answer = self.must(sentence, ask, &[status]).await;
        let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        let found = &body["errors"][0]["code"];
        self.check(sentence, found == code, || format!("{what}: {body}, expected {code}"));
    }

    /// Checks anything else.
    pub(super) fn check(&self, sentence: Sentence, holds: bool, found: impl Fn() -> String) {
        self.checks.set(self.checks.get() + 1);
        assert!(holds, "{sentence}\n{}", found());
    }

    /// Checks a header of an answer.
    pub(super) fn has(&self, sentence: Sentence, answer: &Answer, name: &str, expected: &str) {
        let found = header(answer, name);
        self.check(sentence, found == expected, || format!("{name}: {found}, not {expected}"));
    }

    /// Checks that what is at a path has these bytes, by `HEAD` and `GET`.
    pub(super) async fn holds(&self, path: &str, digest: &Digest, bytes: &[u8]) {
        let head = self.must(EXISTS, Ask::new("HEAD", path), &[200]).await;
        self.has(SIZE, &head, "content-length", &bytes.len().to_string());
        self.has(DIGEST, &head, "docker-content-digest", digest.as_str());
        let get = self.must(PULL, Ask::new("GET", path), &[200]).await;
        self.check(BYTES, get.body() == bytes, || format!("GET {path}: other bytes"));
        self.has(DIGEST, &get, "docker-content-digest", digest.as_str());
    }

    /// Checks that nothing is at a path.
    pub(super) async fn lacks(&self, path: &str) {
        self.must(ABSENT, Ask::new("HEAD", path), &[404]).await;
        self.must(ABSENT, Ask::new("GET", path), &[404]).await;
    }
}

pub(super) const EXISTS: Sentence = "Checking if content exists: A HEAD request to an existing \
    blob or manifest URL MUST return 200 OK.";
pub(super) const ABSENT: Sentence = "If the blob or manifest is not found in the registry, the \
    response code MUST be 404 Not Found.";
const SIZE: Sentence = "A successful response SHOULD contain the size in bytes of the uploaded \
    blob in the header Content-Length.";
const DIGEST: Sentence = "If present, the value of this header MUST be a digest matching that of \
    the response body.";
const PULL: Sentence = "A GET request to an existing manifest or blob URL MUST provide the \
    expected content, with a response code that MUST be 200 OK.";
const BYTES: Sentence = "The registry MUST store the manifest in the exact byte representation \
    provided by the client.";

pub(super) fn digest(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    Hasher::digest(algorithm, bytes)
}

/// The part of a location that is asked for, with one more parameter.
pub(super) fn with_parameter(location: &str, parameter: &str) -> String {
    let separator = if location.contains('?') { '&' } else { '?' };
    format!("{location}{separator}{parameter}")
}

pub(super) fn location(answer: &Answer) -> String {
    assert!(answer.status() != StatusCode::NOT_FOUND);
    header(answer, "location")
}
