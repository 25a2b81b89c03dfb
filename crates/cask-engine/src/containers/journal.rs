//! The journal of the machine: output of containers is written to it, and read from it.
//!
//! Source: systemd, `docs/JOURNAL_NATIVE_PROTOCOL.md`; conmon, `src/ctr_logging.c`, for the fields.

mod entries;
mod read;

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use serde::{Deserialize, Serialize};

use super::{ContainerConfig, wire};
use crate::{Error, ErrorKind, Result};
#[cfg(test)]
pub(super) use entries::Entries;
pub(super) use entries::JournalEntry;

/// The longest message: what is longer is several, of which all but the last are parts. As conmon's.
const LONGEST_MESSAGE: usize = 8192;
/// How long a journal that takes nothing is waited for, once; after that it takes what it takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the journal of the machine is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Journal {
    /// The socket that takes entries.
    pub socket: PathBuf,
    /// Programs that print entries, as `journalctl` does; the first that is there counts.
    pub readers: Vec<PathBuf>,
}

impl Default for Journal {
    /// Where systemd has it.
    fn default() -> Self {
        let readers = ["/usr/local/bin/journalctl", "/usr/bin/journalctl", "/bin/journalctl"];
        Self {
            socket: PathBuf::from("/run/systemd/journal/socket"),
            readers: readers.iter().map(PathBuf::from).collect(),
        }
    }
}

impl Journal {
    /// Sends one entry.
    pub(super) fn send(&self, entry: &[u8]) -> std::io::Result<()> {
        let (_held, address) = wire::address(&self.socket)?;
        let flags = SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
        loop {
            match rustix::net::sendto(&socket, entry, SendFlags::NOSIGNAL, &address) {
                Err(Errno::INTR) => {}
                other => return Ok(other.map(drop)?),
            }
        }
    }
}

/// Who sends entries, as the journal sees it: the number of this user outside of its user namespace.
pub(super) fn user() -> u32 {
    let own = rustix::process::getuid().as_raw();
    let maps = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let outside = maps.lines().find_map(|line| {
        let mut numbers = line.split_whitespace().map_while(|number| number.parse::<u32>().ok());
        let (inside, outside, count) = (numbers.next()?, numbers.next()?, numbers.next()?);
        let offset = own.checked_sub(inside).filter(|offset| *offset < count)?;
        outside.checked_add(offset)
    });
    outside.unwrap_or(own)
}

/// Writes what a container prints to the journal, one entry for each line.
pub(super) struct Writer {
    socket: OwnedFd,
    address: SocketAddrUnix,
    /// The directory of the socket, which the address goes through.
    _held: OwnedFd,
    /// What every entry has.
    fields: Vec<u8>,
    /// The beginnings of lines whose ends are still to come: of the output, and of errors.
    begun: [Vec<u8>; 2],
    /// It took nothing for so long that it is not waited for any more.
    stuck: bool,
}

impl Writer {
    /// Has a journal take what a container prints.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where nobody listens there.
    pub(super) fn open(journal: &Journal, config: &ContainerConfig) -> Result<Self> {
        let failed = |error: std::io::Error| {
            let words = format!("the journal at {}", journal.socket.display());
            Error::new(ErrorKind::Unsupported, words, "nobody takes entries there")
                .with_source(error)
                .with_hint("choose another --log-driver: k8s-file, none or passthrough")
        };
        let (held, address) = wire::address(&journal.socket).map_err(failed)?;
        let make = || {
            let flags = SocketFlags::CLOEXEC;
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)
        };
        let socket = make().map_err(|error| failed(error.into()))?;
        // Entries are sent to the address each, since a journal may begin again; that there is one is asked first.
        make()
            .and_then(|asks| rustix::net::connect(&asks, &address))
            .and_then(|()| set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE)))
            .map_err(|error| failed(error.into()))?;
        let begun = [Vec::new(), Vec::new()];
        let fields = fields(config);
        Ok(Self { socket, address, _held: held, fields, begun, stuck: false })
    }

    /// Writes what came on one of both streams. What cannot be written is lost: the container goes on.
    pub(super) fn write(&mut self, kind: u8, bytes: &[u8]) {
        let stream = usize::from(kind == wire::ERROR);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, is_whole) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            let mut line = std::mem::take(&mut self.begun[stream]);
            line.extend_from_slice(text);
            let mut rest = line.as_slice();
            while rest.len() > LONGEST_MESSAGE {
                let (part, more) = rest.split_at(LONGEST_MESSAGE);
                self.send(stream, part, false);
                rest = more;
            }
            if is_whole {
                self.send(stream, rest, true);
            } else {
                self.begun[stream] = rest.to_vec();
            }
        }
    }

    /// Writes the beginnings of lines that never ended.
    pub(super) fn finish(&mut self) {
        for stream in 0..self.begun.len() {
            let line = std::mem::take(&mut self.begun[stream]);
            if !line.is_empty() {
                self.send(stream, &line, false);
            }
        }
    }

    fn send(&mut self, stream: usize, message: &[u8], is_whole: bool) {
        let mut entry = self.fields.clone();
        // LOG_INFO and LOG_ERR, which is how the two are told apart again.
        put(&mut entry, "PRIORITY", if stream == 0 { b"6" } else { b"3" });
        if !is_whole {
            put(&mut entry, "CONTAINER_PARTIAL_MESSAGE", b"true");
        }
        put(&mut entry, "MESSAGE", message);
        let mut flags = SendFlags::NOSIGNAL;
        flags.set(SendFlags::DONTWAIT, self.stuck);
        let sent = loop {
            match rustix::net::sendto(&self.socket, &entry, flags, &self.address) {
                Err(Errno::INTR) => {}
                other => break other,
            }
        };
        self.stuck = matches!(sent, Err(Errno::AGAIN));
    }
}

/// What every entry of a container has.
fn fields(config: &ContainerConfig) -> Vec<u8> {
    let mut fields = Vec::new();
    let id = config.id.as_str();
    put(&mut fields, "CONTAINER_ID_FULL", id.as_bytes());
    put(&mut fields, "CONTAINER_ID", id.get(..12).unwrap_or(id).as_bytes());
    put(&mut fields, "CONTAINER_NAME", config.name.as_bytes());
    let tag = config.log.written_tag();
    if let Some(tag) = tag {
        put(&mut fields, "CONTAINER_TAG", tag.as_bytes());
    }
    // What journalctl shows before a line.
    put(&mut fields, "SYSLOG_IDENTIFIER", tag.unwrap_or("cask-monitor").as_bytes());
    fields
}

/// Adds a field: a value with an end of a line has its length before it.
pub(super) fn put(entry: &mut Vec<u8>, name: &str, value: &[u8]) {
    entry.extend_from_slice(name.as_bytes());
    if value.contains(&b'\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value);
    entry.push(b'\n');
}

/// The last lines of what goes by, parts of a line with it.
struct Tail {
    most: usize,
    lines: VecDeque<Vec<super::LogLine>>,
    is_open: bool,
}

impl Tail {
    fn new(most: usize) -> Self {
        Self { most, lines: VecDeque::new(), is_open: false }
    }

    fn push(&mut self, line: super::LogLine) {
        let is_whole = line.whole;
        match self.lines.back_mut() {
            Some(last) if self.is_open => last.push(line),
            _ => self.lines.push_back(vec![line]),
        }
        self.is_open = !is_whole;
        if self.lines.len() > self.most {
            self.lines.pop_front();
        }
    }

    fn into_lines(self) -> impl Iterator<Item = super::LogLine> {
        self.lines.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ContainerConfig {
        let id = "0123456789abcdef".repeat(4);
        ContainerConfig { id, name: "box".to_owned(), ..ContainerConfig::default() }
    }

    /// A journal that keeps what it is sent.
    fn journal(directory: &std::path::Path) -> (Journal, std::os::unix::net::UnixDatagram) {
        let journal = Journal { socket: directory.join("socket"), ..Journal::default() };
        let socket = std::os::unix::net::UnixDatagram::bind(&journal.socket).unwrap();
        (journal, socket)
    }

    fn taken(socket: &std::os::unix::net::UnixDatagram) -> Vec<String> {
        socket.set_nonblocking(true).unwrap();
        let mut buffer = vec![0; 1 << 16];
        let mut all = Vec::new();
        while let Ok(length) = socket.recv(&mut buffer) {
            all.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        all
    }

    #[test]
    fn every_line_is_an_entry_with_podmans_fields() {
        let directory = tempfile::tempdir().unwrap();
        let (journal, socket) = journal(directory.path());
        let mut config = config();
        config.log.tag = Some("a\nb".to_owned());
        let mut writer = Writer::open(&journal, &config).unwrap();
        writer.write(wire::OUTPUT, b"one\ntw");
        writer.write(wire::ERROR, b"bad\n");
        writer.write(wire::OUTPUT, b"o\n\nrest");
        writer.finish();
        let every = format!(
            "CONTAINER_ID_FULL={id}\nCONTAINER_ID=0123456789ab\nCONTAINER_NAME=box\n\
             CONTAINER_TAG\n\x03\0\0\0\0\0\0\0a\nb\nSYSLOG_IDENTIFIER\n\x03\0\0\0\0\0\0\0a\nb\n",
            id = config.id
        );
        let entry = |more: &str| format!("{every}{more}");
        let expected = [
            entry("PRIORITY=6\nMESSAGE=one\n"),
            entry("PRIORITY=3\nMESSAGE=bad\n"),
            entry("PRIORITY=6\nMESSAGE=two\n"),
            entry("PRIORITY=6\nMESSAGE=\n"),
            entry("PRIORITY=6\nCONTAINER_PARTIAL_MESSAGE=true\nMESSAGE=rest\n"),
        ];
        assert_eq!(taken(&socket), expected);
    }

    #[test]
    fn long_lines_are_parts_and_none_is_lost() {
        let directory = tempfile::tempdir().unwrap();
        let (journal, socket) = journal(directory.path());
        let mut writer = Writer::open(&journal, &config()).unwrap();
        let line = "0123456789".repeat(3000);
        writer.write(wire::OUTPUT, line.as_bytes());
        writer.write(wire::OUTPUT, b"\n");
        let entries = taken(&socket);
        let message =
            |entry: &String| entry.rsplit("MESSAGE=").next().unwrap().trim_end().to_owned();
        assert_eq!(entries.iter().map(message).collect::<String>(), line);
        let partial: Vec<bool> = entries
            .iter()
            .map(|entry| entry.contains("CONTAINER_PARTIAL_MESSAGE=true\n"))
            .collect();
        assert_eq!(partial, [true, true, true, false]);
    }

    #[test]
    fn without_a_journal_nothing_begins() {
        let directory = tempfile::tempdir().unwrap();
        let (journal, socket) = journal(directory.path());
        drop(socket);
        // The name alone is none.
        let error = Writer::open(&journal, &config()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        std::fs::remove_file(&journal.socket).unwrap();
        assert!(Writer::open(&journal, &config()).is_err());
    }

    #[test]
    fn the_last_lines_stay_with_their_parts() {
        let check = |texts: &[(&str, bool)], most: usize, expected: &[&str]| {
            let mut tail = Tail::new(most);
            for (text, whole) in texts {
                let stream = super::super::LogStream::Output;
                let text = text.as_bytes().to_vec();
                tail.push(super::super::LogLine {
                    time: String::new(),
                    stream,
                    whole: *whole,
                    text,
                });
            }
            let found: Vec<Vec<u8>> = tail.into_lines().map(|line| line.text).collect();
            assert_eq!(found, expected.iter().map(|text| text.as_bytes()).collect::<Vec<_>>());
        };
        check(&[("a", true), ("b", true), ("c", true)], 2, &["b", "c"]);
        check(&[("a", true), ("b", false), ("c", true)], 1, &["b", "c"]);
        check(&[("a", true), ("b", false)], 0, &[]);
        check(&[("a", false), ("b", true)], 0, &[]);
        check(&[("a", true), ("b", false)], 2, &["a", "b"]);
    }
}
