//! Times as podman prints them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cask_image::Timestamp;
use cask_terminal::table::ago;

/// What the clock says, in seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// The same, to the nanosecond.
pub(crate) fn exactly_now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_unix(seconds, since.subsec_nanos()).unwrap_or(Timestamp::GO_ZERO)
}

/// As [`end`], to the nanosecond.
pub(crate) fn exact_end(text: &str, now: Timestamp) -> cask_engine::Result<Timestamp> {
    let before = cask_engine::parse_exact_moment(text, now)?;
    let at = end(text)?;
    let is_ahead = at > before.unix_seconds();
    let ahead = || Timestamp::from_unix(at, now.nanoseconds());
    Ok(is_ahead.then(ahead).flatten().unwrap_or(before))
}

/// The end of a span of time: a moment, or a duration that begins now.
///
/// Source: podman, `pkg/util/utils.go`, `ParseInputTime`.
pub(crate) fn end(text: &str) -> cask_engine::Result<i64> {
    let now = now();
    // Durations count back from the moment that is given, and moments do not care.
    let (from_zero, from_now) =
        (cask_engine::parse_moment(text, 0)?, cask_engine::parse_moment(text, now)?);
    Ok(if from_zero == from_now { from_now } else { now - from_zero })
}

/// How long ago that was, in words; what is to come is now.
pub(crate) fn since(time: Option<Timestamp>) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = time.map_or(Timestamp::GO_ZERO.unix_seconds(), Timestamp::unix_seconds);
    let nanoseconds = time.map_or(0, Timestamp::nanoseconds);
    let age = match u64::try_from(seconds) {
        Ok(seconds) => now.saturating_sub(Duration::new(seconds, nanoseconds)),
        Err(_) => now + Duration::from_secs(seconds.unsigned_abs()),
    };
    ago(age)
}

/// The whole seconds of a moment, UTC: what Go makes of a Unix time.
pub(crate) fn whole_seconds(time: Option<Timestamp>) -> Timestamp {
    let seconds = time.map_or(Timestamp::GO_ZERO.unix_seconds(), Timestamp::unix_seconds);
    Timestamp::from_unix(seconds, 0).unwrap_or(Timestamp::GO_ZERO)
}
