//! What a container printed.

mod files;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cask_image::Timestamp;

use super::logging::LogDriver;
use super::record::io;
use super::{Container, Containers};
use crate::Result;
use files::LogFiles;
pub(super) use files::numbered;

/// Which lines of a log are wanted.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LogOptions {
    /// New lines are waited for, until the container has ended.
    pub follow: bool,
    /// Only so many of the last lines.
    pub tail: Option<usize>,
    /// Only lines from this moment on, in seconds since 1970.
    pub since: Option<i64>,
    /// Only lines up to this moment.
    pub until: Option<i64>,
}

/// Where a line was printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogStream {
    /// On standard output.
    Output,
    /// On standard error.
    Error,
}

/// A line of a log, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When it was printed, in RFC 3339.
    pub time: String,
    /// Where.
    pub stream: LogStream,
    /// Whether it ended there; otherwise the next one of the stream goes on with it.
    pub whole: bool,
    /// The bytes, without the end of the line.
    pub text: Vec<u8>,
}

/// How often a log that is followed is looked at.
const INTERVAL: Duration = Duration::from_millis(50);

impl LogLine {
    /// Reads `TIME stdout|stderr F|P TEXT`. `None` for what no monitor writes.
    fn parse(line: &[u8]) -> Option<Self> {
        let mut parts = line.splitn(4, |byte| *byte == b' ');
        let time = std::str::from_utf8(parts.next()?).ok()?;
        let stream = match parts.next()? {
            b"stdout" => LogStream::Output,
            b"stderr" => LogStream::Error,
            _ => return None,
        };
        let whole = parts.next()? == b"F";
        Some(Self {
            time: time.to_owned(),
            stream,
            whole,
            text: parts.next().unwrap_or_default().to_vec(),
        })
    }

    fn seconds(&self) -> Option<i64> {
        self.time.parse::<Timestamp>().ok().map(Timestamp::unix_seconds)
    }
}

impl Containers {
    /// Gives the lines of a log, one after the other, until there are no more or `line` says `false`.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a container that keeps none, and where there is no program that reads the journal;
    /// [`ErrorKind::Io`]; what `line` fails with.
    pub fn logs(
        &self,
        container: &Container,
        options: &LogOptions,
        line: &mut dyn FnMut(&LogLine) -> Result<bool>,
    ) -> Result<()> {
        if LogDriver::of(&container.config)? == LogDriver::Journal {
            let what = format!("what container {} printed", container.id());
            let matches = vec![format!("CONTAINER_ID_FULL={}", container.id())];
            let reader = self.journal.reader(&what, matches, options)?;
            return reader.read(self, container, options, &mut |read| {
                Ok(!options.fits(&read) || line(&read)?)
            });
        }
        let path = container.log_path().ok_or_else(|| container.no_log("read logs"))?;
        let failed = |error| io(error, "reading", &path);
        let most = container.config.log.most_files();
        let mut files = LogFiles::open(path.clone(), most, options.tail).map_err(failed)?;
        loop {
            // Asked before reading: what was printed until the end is then read for sure.
            let up = options.goes_on()
                && self.reload(container).is_ok_and(|now| now.state.status.is_up());
            while let Some(text) = files.next_line().map_err(failed)? {
                let Some(parsed) = LogLine::parse(text) else { continue };
                if options.fits(&parsed) && !line(&parsed)? {
                    return Ok(());
                }
            }
            if options.follow && files.has_newer().map_err(failed)? {
                continue;
            }
            if !up {
                return Ok(());
            }
            std::thread::sleep(INTERVAL);
        }
    }
}

impl LogOptions {
    /// Whether lines that are still to come are wanted.
    pub(super) fn goes_on(&self) -> bool {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.follow
            && self.until.is_none_or(|until| u64::try_from(until).is_ok_and(|until| now() <= until))
    }

    fn fits(&self, line: &LogLine) -> bool {
        let at = || line.seconds().unwrap_or_default();
        self.since.is_none_or(|since| at() >= since) && self.until.is_none_or(|until| at() <= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let read = LogLine::parse(b"2026-01-01T00:00:00.5+00:00 stderr P a b ").unwrap();
        assert_eq!(
            (read.stream, read.whole, read.text.as_slice()),
            (LogStream::Error, false, &b"a b "[..])
        );
        assert!(LogLine::parse(b"nonsense").is_none());
    }
}
