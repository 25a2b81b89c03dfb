//! What goes wrong, and when.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Method, Request};

/// Something that goes wrong with some requests.
///
/// Of several faults that fit a request, the one that was given first happens.
#[derive(Debug)]
pub struct Fault {
    method: Option<Method>,
    path: Option<String>,
    query: Option<String>,
    skipped: usize,
    times: Option<usize>,
    happened: AtomicUsize,
    pub(super) failure: Failure,
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The connection ends before there is an answer; the registry has not seen the request.
    Disconnect,
    /// The connection ends after so many bytes of the answer's body, though the head says that
    /// there are more.
    CutAnswer {
        /// How many bytes come.
        after_bytes: u64,
    },
    /// So many bytes of the request's body are taken and kept, then the connection ends.
    CutRequest {
        /// How many bytes are taken.
        after_bytes: u64,
    },
    /// The answer's body is so long, and the head says the same: it ends as if it were whole.
    ShortBody {
        /// How many bytes come.
        bytes: u64,
    },
    /// One bit of the answer's body is another one.
    FlipBit {
        /// In which byte.
        at: u64,
    },
    /// The answer's body goes on for ever.
    EndlessBody,
    /// After so many bytes of the answer's body nothing comes any more, and the connection stays.
    StallBody {
        /// How many bytes come.
        after_bytes: u64,
    },
    /// The answer's body comes a byte at a time.
    TrickleBody {
        /// How long each takes.
        pause: Duration,
    },
    /// No answer comes, and the connection stays.
    StallHead,
    /// The answer comes later.
    Delay(Duration),
    /// A range is asked for, and all is given, by 200.
    IgnoreRange,
    /// A range is asked for, and another is given, which the head tells: as many bytes further.
    ShiftRange {
        /// How many bytes further.
        by: u64,
    },
    /// A range is asked for; the right bytes are given, and the head says something else.
    WrongContentRange(String),
    /// The registry does not see the request. The answer has a status and an error body.
    Status(u16),
    /// The same with a page that is no JSON.
    HtmlPage(u16),
    /// 429, with this header `Retry-After` if one is given.
    TooManyRequests {
        /// Seconds, or a date.
        retry_after: Option<String>,
    },
    /// The registry does what it is asked, and yet the answer has this status.
    DoneBut(u16),
    /// All tokens expire, and so this request is refused if it needs one.
    ExpireTokens,
    /// The answer is 401 with this header `WWW-Authenticate`.
    Challenge(String),
    /// The answer has this header `Location`, whatever it had.
    Location(String),
    /// The answer is a redirect there, by 307.
    Redirect(String),
    /// The answer has this header besides, or instead.
    SetHeader(&'static str, String),
    /// The answer lacks this header.
    RemoveHeader(&'static str),
    /// The answer is 200 with this type and body.
    Answer {
        /// `Content-Type`.
        content_type: &'static str,
        /// The body.
        body: Vec<u8>,
    },
}

impl Fault {
    /// Goes wrong with every request, until it is told otherwise.
    pub fn new(failure: Failure) -> Self {
        Self {
            method: None,
            path: None,
            query: None,
            skipped: 0,
            times: None,
            happened: AtomicUsize::new(0),
            failure,
        }
    }

    /// Only with requests of this method.
    ///
    /// # Panics
    /// If it is no method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.parse().expect("a method of HTTP"));
        self
    }

    /// Only with requests whose path has this text in it.
    #[must_use]
    pub fn path(mut self, part: &str) -> Self {
        self.path = Some(part.to_owned());
        self
    }

    /// Only with requests whose query has this text in it.
    #[must_use]
    pub fn query(mut self, part: &str) -> Self {
        self.query = Some(part.to_owned());
        self
    }

    /// Not with the first of those.
    #[must_use]
    pub fn after(mut self, requests: usize) -> Self {
        self.skipped = requests;
        self
    }

    /// So many times at most.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = Some(times);
        self
    }

    /// Once.
    #[must_use]
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Whether it happens to this request.
    pub(super) fn happens<B>(&self, request: &Request<B>) -> bool {
        let uri = request.uri();
        let fits = self.method.as_ref().is_none_or(|method| method == request.method())
            && self.path.as_ref().is_none_or(|part| uri.path().contains(part.as_str()))
            && self
                .query
                .as_ref()
                .is_none_or(|part| uri.query().is_some_and(|query| query.contains(part.as_str())));
        if !fits {
            return false;
        }
        let before = self.happened.fetch_add(1, Ordering::SeqCst);
        before >= self.skipped && self.times.is_none_or(|times| before < self.skipped + times)
    }
}
