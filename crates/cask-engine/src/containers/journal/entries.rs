//! Entries as `journalctl --output=export` prints them.
//!
//! Source: systemd, `docs/JOURNAL_EXPORT_FORMATS.md`.

use cask_image::Timestamp;

use super::super::{LogLine, LogStream};

/// What of an entry is of use here.
#[derive(Debug, Default, PartialEq)]
pub(in super::super) struct JournalEntry {
    pub(super) cursor: String,
    micros: u64,
    priority: Vec<u8>,
    partial: bool,
    message: Option<Vec<u8>>,
    /// What podman's events say.
    event: Vec<(String, String)>,
}

impl JournalEntry {
    fn set(&mut self, name: &[u8], value: &[u8]) {
        let text = || std::str::from_utf8(value).unwrap_or_default();
        match name {
            b"__CURSOR" => text().clone_into(&mut self.cursor),
            b"__REALTIME_TIMESTAMP" => self.micros = text().parse().unwrap_or(0),
            b"PRIORITY" => value.clone_into(&mut self.priority),
            b"CONTAINER_PARTIAL_MESSAGE" => self.partial = true,
            b"MESSAGE" => self.message = Some(value.to_vec()),
            _ if name.starts_with(b"PODMAN_") => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                self.event.push((text(name), text(value)));
            }
            _ => {}
        }
    }

    /// What a field of an event says.
    pub(in super::super) fn field(&self, name: &str) -> Option<&str> {
        self.event.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The line that it is; `None` for what no container printed.
    pub(super) fn line(self) -> Option<LogLine> {
        let stream = match self.priority.as_slice() {
            b"6" => LogStream::Output,
            b"3" => LogStream::Error,
            _ => return None,
        };
        let seconds = i64::try_from(self.micros / 1_000_000).ok()?;
        let nanoseconds = u32::try_from(self.micros % 1_000_000).ok()? * 1000;
        let time = Timestamp::from_unix(seconds, nanoseconds)?.to_string();
        Some(LogLine { time, stream, whole: !self.partial, text: self.message? })
    }
}

/// The longest entry that is read: a journal has none longer.
const LONGEST: usize = 768 << 20;

/// Bytes as they come, and the entries in them.
#[derive(Default)]
pub(in super::super) struct Entries {
    bytes: Vec<u8>,
    /// Where the entry that is being read goes on.
    at: usize,
    entry: JournalEntry,
}

/// One field, or the end of an entry.
enum Next {
    Field { name: std::ops::Range<usize>, value: std::ops::Range<usize>, end: usize },
    End { end: usize },
}

impl Entries {
    pub(in super::super) fn push(&mut self, bytes: &[u8]) {
        // What was read is of no use any more.
        if self.at > 0 {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next entry that is there whole; an error where it is none.
    pub(in super::super) fn next_entry(&mut self) -> Result<Option<JournalEntry>, &'static str> {
        while let Some(next) = self.next()? {
            match next {
                Next::Field { name, value, end } => {
                    self.entry.set(&self.bytes[name], &self.bytes[value]);
                    self.at = end;
                }
                Next::End { end } => {
                    self.at = end;
                    let entry = std::mem::take(&mut self.entry);
                    // Several empty lines are one.
                    if entry != JournalEntry::default() {
                        return Ok(Some(entry));
                    }
                }
            }
        }
        Ok(None)
    }

    fn next(&self) -> Result<Option<Next>, &'static str> {
        let rest = &self.bytes[self.at..];
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
            return if rest.len() > LONGEST { Err("a line does not end") } else { Ok(None) };
        };
        let (start, end) = (self.at, self.at + length);
        if length == 0 {
            return Ok(Some(Next::End { end: end + 1 }));
        }
        if let Some(equals) = rest[..length].iter().position(|byte| *byte == b'=') {
            let (name, value) = (start..start + equals, start + equals + 1..end);
            return Ok(Some(Next::Field { name, value, end: end + 1 }));
        }
        // A name alone: the length follows, then the bytes, then the end of the line.
        let Some(size) = rest[length + 1..].first_chunk::<8>() else { return Ok(None) };
        let size = usize::try_from(u64::from_le_bytes(*size)).ok().filter(|size| *size <= LONGEST);
        let size = size.ok_or("a field is longer than a journal has any")?;
        let first = end + 1 + 8;
        match self.bytes.get(first + size) {
            None => Ok(None),
            Some(b'\n') => {
                let value = first..first + size;
                Ok(Some(Next::Field { name: start..end, value, end: first + size + 1 }))
            }
            Some(_) => Err("a field does not end where it should"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1700000000123456\nPRIORITY=6\nMESSAGE=one=1\n\n\
        __CURSOR=x\n__REALTIME_TIMESTAMP=1700000001000000\nPRIORITY=3\nMESSAGE\n\x03\0\0\0\0\0\0\0a\nb\n\
        CONTAINER_PARTIAL_MESSAGE=true\n\n__CURSOR=y\nMESSAGE=of another\n\n";

    #[test]
    fn entries_are_read_however_they_come() {
        for size in [1, 7, 64, TEXT.len()] {
            let mut entries = Entries::default();
            let mut cursors = Vec::new();
            let mut lines = Vec::new();
            for piece in TEXT.chunks(size) {
                entries.push(piece);
                while let Some(entry) = entries.next_entry().unwrap() {
                    cursors.push(entry.cursor.clone());
                    lines.extend(entry.line());
                }
            }
            assert_eq!(cursors, ["s=1;i=2", "x", "y"]);
            let shown: Vec<_> =
                lines.iter().map(|line| (line.time.as_str(), line.stream, line.whole)).collect();
            assert_eq!(
                shown,
                [
                    ("2023-11-14T22:13:20.123456Z", LogStream::Output, true),
                    ("2023-11-14T22:13:21Z", LogStream::Error, false),
                ]
            );
            assert_eq!(lines[0].text, b"one=1");
            assert_eq!(lines[1].text, b"a\nb");
        }
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        for wrong in [&b"NAME\n\xff\xff\xff\xff\xff\xff\xff\xff"[..], b"NAME\n\x01\0\0\0\0\0\0\0ab"]
        {
            let mut entries = Entries::default();
            entries.push(wrong);
            assert!(entries.next_entry().is_err(), "{wrong:?}");
        }
    }
}
