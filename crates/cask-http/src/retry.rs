//! When to try again.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderMap;

use crate::ErrorKind;

/// How often and how long to try again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryOptions {
    /// How often a request is sent at most; 1 means never again. Default: 5.
    pub attempts: u32,
    /// The wait before the second attempt; it doubles with each further one. Default: 1 s.
    pub first_delay: Duration,
    /// The longest wait that we choose ourselves. Default: 60 s.
    pub max_delay: Duration,
    /// The longest that one request waits in all. A server that asks for more is not waited for.
    /// Default: 5 min.
    pub budget: Duration,
}

impl Default for RetryOptions {
    fn default() -> Self {
        Self {
            attempts: 5,
            first_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(60),
            budget: Duration::from_secs(300),
        }
    }
}

impl RetryOptions {
    /// Everything is tried once.
    pub fn never() -> Self {
        Self { attempts: 1, ..Self::default() }
    }
}

/// Why something is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryReason {
    /// The server said so by its status.
    Status(u16),
    /// The connection failed.
    Transport(ErrorKind, String),
}

/// Something is about to be tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryEvent {
    /// The verb of the request.
    pub method: String,
    /// The URL, without secrets.
    pub url: String,
    /// Which attempt failed, from 1.
    pub attempt: u32,
    /// How many there are at most.
    pub attempts: u32,
    /// How long the next one waits.
    pub wait: Duration,
    /// Why.
    pub reason: RetryReason,
}

impl fmt::Display for RetryEvent {
    /// Writes `GET https://… failed with status 503 (attempt 2 of 5), trying again in 4.0 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, url, attempt, attempts, wait, reason } = self;
        match reason {
            RetryReason::Status(status) => write!(f, "{method} {url} failed with status {status}")?,
            RetryReason::Transport(_, why) => write!(f, "{method} {url} failed: {why}")?,
        }
        let seconds = wait.as_secs_f64();
        write!(f, " (attempt {attempt} of {attempts}), trying again in {seconds:.1} s")
    }
}

impl RetryEvent {
    /// Tells of an attempt that failed.
    pub fn new(
        method: &str,
        url: String,
        backoff: &Backoff,
        wait: Duration,
        reason: RetryReason,
    ) -> Self {
        Self {
            method: method.to_owned(),
            url,
            attempt: backoff.tries,
            attempts: backoff.options.attempts,
            wait,
            reason,
        }
    }
}

/// Who is told of retries.
pub type RetrySink = Arc<dyn Fn(&RetryEvent) + Send + Sync>;

/// The waits of one operation: exponential, with jitter, within a budget.
#[derive(Clone, Debug)]
pub struct Backoff {
    options: RetryOptions,
    tries: u32,
    waited: Duration,
}

impl Backoff {
    /// Before the first attempt.
    pub fn new(options: &RetryOptions) -> Self {
        Self { options: options.clone(), tries: 0, waited: Duration::ZERO }
    }

    /// An attempt failed: how long to wait before the next, or `None` if there is none. `asked` is
    /// what the server asked for.
    pub fn next_wait(&mut self, asked: Option<Duration>) -> Option<Duration> {
        self.tries += 1;
        if self.tries >= self.options.attempts {
            return None;
        }
        let doubled = self.options.first_delay.saturating_mul(1 << (self.tries - 1).min(20));
        let own = jittered(doubled.min(self.options.max_delay));
        // All clients were told the same time: they shall not come back at the same time.
        let wait = asked.map_or(own, |asked| asked + own.min(self.options.first_delay) / 4);
        if self.waited + wait > self.options.budget {
            return None;
        }
        self.waited += wait;
        Some(wait)
    }

    /// Something moved: what follows is a new operation, though within the same budget.
    pub fn progressed(&mut self) {
        self.tries = 0;
    }
}

/// Between half of a duration and all of it.
fn jittered(delay: Duration) -> Duration {
    // The keys of each state are random, and that is all that is needed here.
    let random = RandomState::new().hash_one(0_u8);
    let half = delay / 2;
    half + half.mul_f64((random >> 11) as f64 / (1_u64 << 53) as f64)
}

/// Whether a status says that the same request may succeed later.
pub(crate) fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 502 | 503 | 504)
}

/// How long a server asks to be left alone, by its `Retry-After`: seconds, or a date.
///
/// A date in the past means no time at all. What cannot be understood is ignored.
///
/// Source: RFC 9110, section 10.2.3.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sat, 21 Nov 2026 04:00:00 GMT").unwrap();
        let rows = [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("99999999999999999999999", Some(u64::from(u32::MAX))),
            ("Sat, 21 Nov 2026 04:00:30 GMT", Some(30)),
            ("Saturday, 21-Nov-26 04:00:30 GMT", Some(30)),
            ("Sat, 21 Nov 2020 04:00:30 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("", None),
        ];
        for (text, expected) in rows {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", text.parse().unwrap());
            assert_eq!(retry_after(&headers, now).map(|d| d.as_secs()), expected, "{text:?}");
        }
    }

    #[test]
    fn waits_double_up_to_the_limit_and_end_with_attempts_or_budget() {
        let options = RetryOptions {
            attempts: 6,
            first_delay: Duration::from_secs(2),
            max_delay: Duration::from_secs(10),
            budget: Duration::from_secs(1000),
        };
        let mut backoff = Backoff::new(&options);
        for most in [2, 4, 8, 10, 10] {
            let wait = backoff.next_wait(None).unwrap().as_secs_f64();
            assert!(wait <= f64::from(most) && wait >= f64::from(most) / 2.0, "{wait} {most}");
        }
        assert_eq!(backoff.next_wait(None), None);
        assert_eq!(Backoff::new(&options).next_wait(Some(Duration::from_secs(1001))), None);
        assert_eq!(Backoff::new(&RetryOptions::never()).next_wait(None), None);
    }
}
