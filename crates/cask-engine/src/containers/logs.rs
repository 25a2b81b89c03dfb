//! What a container printed.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cask_image::Timestamp;

use super::logging::LogDriver;
use super::record::io;
use super::{Container, Containers};
use crate::Result;

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
        let start = match options.tail {
            Some(count) => start_of_tail(&path, count)?,
            None => 0,
        };
        let mut reader = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !options.follow => {
                return Ok(());
            }
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(io(error, "opening", &path));
            }
            opened => opened.ok().map(BufReader::new),
        };
        if let Some(reader) = &mut reader {
            reader.seek(SeekFrom::Start(start)).map_err(|error| io(error, "reading", &path))?;
        }
        let mut pending = Vec::new();
        loop {
            // Asked before reading: what was printed until the end is then read for sure.
            let up = options.goes_on()
                && self.reload(container).is_ok_and(|now| now.state.status.is_up());
            if let Some(reader) = &mut reader {
                while read_line(reader, &mut pending)
                    .map_err(|error| io(error, "reading", &path))?
                {
                    let parsed = LogLine::parse(&pending);
                    pending.clear();
                    let Some(parsed) = parsed else { continue };
                    if !options.fits(&parsed) {
                        continue;
                    }
                    if !line(&parsed)? {
                        return Ok(());
                    }
                }
            } else {
                reader = File::open(&path).ok().map(BufReader::new);
            }
            if !up {
                return Ok(());
            }
            if was_replaced(reader.as_ref(), &path) {
                reader = File::open(&path).ok().map(BufReader::new);
                pending.clear();
            } else {
                std::thread::sleep(INTERVAL);
            }
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

/// Adds up to the end of the line; `false` where it is not there yet.
fn read_line(reader: &mut BufReader<File>, pending: &mut Vec<u8>) -> std::io::Result<bool> {
    reader.read_until(b'\n', pending)?;
    Ok(match pending.last() {
        Some(b'\n') => {
            pending.pop();
            true
        }
        _ => false,
    })
}

/// Whether the log was put aside, and another one begun.
fn was_replaced(reader: Option<&BufReader<File>>, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let open = reader.and_then(|reader| reader.get_ref().metadata().ok());
    match (open, std::fs::metadata(path).ok()) {
        (Some(open), Some(now)) => (open.dev(), open.ino()) != (now.dev(), now.ino()),
        _ => false,
    }
}

/// Where the last lines begin: read from the end, in pieces. Parts of a line count as one.
fn start_of_tail(path: &Path, count: usize) -> Result<u64> {
    use std::os::unix::fs::FileExt as _;
    let Ok(file) = File::open(path) else { return Ok(0) };
    let failed = |error| io(error, "reading", path);
    let length = file.metadata().map_err(failed)?.len();
    if count == 0 {
        return Ok(length);
    }
    const PIECE: u64 = 64 << 10;
    let mut rest: Vec<u8> = Vec::new();
    let (mut end, mut found) = (length, 0);
    while end > 0 {
        let start = end.saturating_sub(PIECE);
        let size = usize::try_from(end - start).expect("a piece is short");
        let mut piece = vec![0; size];
        file.read_exact_at(&mut piece, start).map_err(failed)?;
        piece.extend_from_slice(&rest);
        let mut stop = piece.len();
        // Whole lines of the piece, the last one first.
        while let Some(newline) =
            piece[..stop.saturating_sub(1)].iter().rposition(|byte| *byte == b'\n')
        {
            let line = &piece[newline + 1..stop];
            if is_whole(line) {
                found += 1;
                if found > count {
                    return Ok(start + stop as u64);
                }
            }
            stop = newline + 1;
        }
        rest = piece[..stop].to_vec();
        end = start;
    }
    found += usize::from(is_whole(&rest));
    Ok(if found > count { rest.len() as u64 } else { 0 })
}

fn is_whole(line: &[u8]) -> bool {
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    parts.nth(2) == Some(b"F")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(lines: &[String], count: usize) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::write(&path, lines.concat()).unwrap();
        let start = usize::try_from(start_of_tail(&path, count).unwrap()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        text[start..].lines().map(|line| line.splitn(4, ' ').nth(3).unwrap().to_owned()).collect()
    }

    #[test]
    fn tails_are_found_from_the_end() {
        let line = |text: &str| format!("2026-01-01T00:00:00Z stdout F {text}\n");
        let few: Vec<String> = ["a", "b", "c"].map(line).to_vec();
        assert_eq!(tail(&few, 2), ["b", "c"]);
        assert_eq!(tail(&few, 3), ["a", "b", "c"]);
        assert_eq!(tail(&few, 9), ["a", "b", "c"]);
        assert_eq!(tail(&few, 0), [""; 0]);
        assert_eq!(tail(&[], 3), [""; 0]);
        let many: Vec<String> = (0..10_000).map(|number| line(&number.to_string())).collect();
        assert_eq!(tail(&many, 3), ["9997", "9998", "9999"]);
        assert_eq!(tail(&many, 9_999).len(), 9_999);
        let long = vec![line("x"), line(&"y".repeat(200_000)), line("z")];
        assert_eq!(tail(&long, 1), ["z"]);
        assert_eq!(tail(&long, 2).len(), 2);
    }

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
