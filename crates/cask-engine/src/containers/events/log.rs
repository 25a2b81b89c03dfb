//! Where events are written: a file that grows, the journal of the machine, or nowhere.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::Journal;
use super::Event;
use crate::{Error, ErrorKind, Result};

/// The most bytes that the file of a store has.
const MOST: u64 = 4 << 20;
/// The longest line that is read.
const LONGEST: u64 = 1 << 20;

/// Where events are written, and read from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum EventLog {
    /// A file with a JSON document on each line, as podman's.
    File {
        /// Which; `None` is `cask/events.log` in the store.
        path: Option<PathBuf>,
        /// The most bytes that it has: above, the older half goes. 0 is as many as there are.
        most_bytes: u64,
    },
    /// The journal of the machine, in podman's words.
    Journal(Journal),
    /// Nowhere: nothing can be read either.
    None,
}

impl Default for EventLog {
    fn default() -> Self {
        Self::File { path: None, most_bytes: MOST }
    }
}

impl EventLog {
    /// Its word: `file`, `journald` or `none`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::File { .. } => "file",
            Self::Journal(_) => "journald",
            Self::None => "none",
        }
    }

    /// Tells of several things, between which nothing else is told. That it cannot be written is no reason not to do
    /// what it tells of.
    pub(crate) fn tell(&self, graph_root: &Path, events: &[Event]) {
        let _ = match self {
            Self::File { path, most_bytes } => append(&file(path, graph_root), events, *most_bytes),
            Self::Journal(journal) => super::journald::send(journal, events),
            Self::None => Ok(()),
        };
    }

    /// The file, where it is one.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where nothing can be read. The words are podman's.
    pub(super) fn reader(&self, graph_root: &Path) -> Result<Reader<'_>> {
        match self {
            Self::File { path, .. } => Ok(Reader::File(file(path, graph_root))),
            Self::Journal(journal) => Ok(Reader::Journal(journal)),
            Self::None => {
                let words = "cannot read events with the \"none\" backend";
                Err(Error::new(ErrorKind::Invalid, words, ""))
            }
        }
    }
}

/// What events are read from.
pub(super) enum Reader<'l> {
    File(PathBuf),
    Journal(&'l Journal),
}

fn file(path: &Option<PathBuf>, graph_root: &Path) -> PathBuf {
    path.clone().unwrap_or_else(|| graph_root.join("cask/events.log"))
}

fn append(path: &Path, events: &[Event], most: u64) -> io::Result<()> {
    let lines = lines(events)?;
    let open = || OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path);
    let mut file = match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            std::fs::create_dir_all(path.parent().unwrap_or(path))?;
            open()?
        }
        other => other?,
    };
    file.lock()?;
    if most > 0 && file.metadata()?.len() + lines.len() as u64 > most {
        halve(&mut file, path, most)?;
    }
    file.write_all(&lines)
}

fn lines(events: &[Event]) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for event in events {
        serde_json::to_writer(&mut lines, event)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

/// Forgets the older half, and says so around what is kept, as podman does. Of a file that is much longer than it may be,
/// no more than four times that is kept: it is in memory meanwhile.
///
/// Source: podman, `libpod/events/logfile.go`, `truncate`.
fn halve(file: &mut File, path: &Path, most: u64) -> io::Result<()> {
    let length = file.metadata()?.len();
    let most_kept = most.saturating_mul(4);
    let start = (length / 2).max(length.saturating_sub(most_kept));
    file.seek(SeekFrom::Start(start))?;
    let mut kept = Vec::new();
    file.take(most_kept).read_to_end(&mut kept)?;
    let whole = kept.iter().position(|byte| *byte == b'\n').map_or(kept.len(), |end| end + 1);
    let marks = ["begin", "end"].map(|place| lines(&[Event::of_rotation(path, place)]));
    let [begin, end] = marks;
    file.set_len(0)?;
    file.write_all(&[&begin?, &kept[whole..], &end?].concat())
}

/// How far the file was read.
#[derive(Default)]
pub(super) struct Position {
    offset: u64,
    /// The last line that was read: what stands before the offset, unless the file was halved.
    last: Vec<u8>,
}

impl Position {
    pub(super) fn skip_to_end(&mut self, path: &Path) -> io::Result<()> {
        self.read(path).map(drop)
    }

    /// Reads the events behind what was read.
    pub(super) fn read(&mut self, path: &Path) -> io::Result<Vec<Event>> {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        if file.metadata()?.size() == self.offset {
            return Ok(Vec::new());
        }
        file.lock_shared()?;
        let moved = !self.follows(&mut file)?;
        file.seek(SeekFrom::Start(if moved { 0 } else { self.offset }))?;
        let mut reader = BufReader::new(file);
        let mut found = Vec::new();
        let mut passed = !moved || self.last.is_empty();
        let mut offset = if moved { 0 } else { self.offset };
        loop {
            let mut line = Vec::new();
            let count = reader.by_ref().take(LONGEST).read_until(b'\n', &mut line)?;
            if !line.ends_with(b"\n") {
                break;
            }
            offset += count as u64;
            if passed {
                found.extend(serde_json::from_slice::<Event>(&line).ok());
                self.last = line;
            } else {
                passed = line == self.last;
            }
        }
        self.offset = offset;
        Ok(found)
    }

    /// Whether what was read is still where it was.
    fn follows(&self, file: &mut File) -> io::Result<bool> {
        let length = self.last.len() as u64;
        let Some(start) = self.offset.checked_sub(length) else { return Ok(false) };
        file.seek(SeekFrom::Start(start))?;
        let mut before = Vec::new();
        file.take(length).read_to_end(&mut before)?;
        Ok(before == self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(number: u32) -> Event {
        let mut event = Event::of_image("tag", &format!("{number:064}"), "x");
        // Each is as long as all others.
        event.time = "2026-11-21T12:58:22.5Z".to_owned();
        event
    }

    /// The numbers of what was told, without what the file says of itself.
    fn numbers(events: &[Event]) -> Vec<u32> {
        let told = events.iter().filter(|event| event.kind != "system");
        told.map(|event| event.id.parse().unwrap()).collect()
    }

    #[test]
    fn what_was_told_is_read_once_also_when_the_older_half_went() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cask/events.log");
        let mut at = Position::default();
        assert!(at.read(&path).unwrap().is_empty());
        let mut heard = Vec::new();
        for number in 0..40 {
            append(&path, &[numbered(number)], 2000).unwrap();
            if number % 3 == 0 {
                heard.extend(numbers(&at.read(&path).unwrap()));
            }
        }
        assert_eq!(heard, (0..40).collect::<Vec<_>>());
        assert!(std::fs::metadata(&path).unwrap().len() <= 2000);
    }

    #[test]
    fn what_is_kept_stands_between_two_marks() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events");
        let one = lines(&[numbered(0)]).unwrap().len() as u64;
        (0..10).for_each(|number| append(&path, &[numbered(number)], 0).unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 10 * one, "0 is no bound");
        append(&path, &[numbered(10)], 10 * one).unwrap();
        let found = Position::default().read(&path).unwrap();
        let shown: Vec<String> = found
            .iter()
            .map(|event| match event.kind.as_str() {
                "system" => event.attributes.iter().flatten().map(|(_, at)| at.clone()).collect(),
                _ => numbers(std::slice::from_ref(event))[0].to_string(),
            })
            .collect();
        assert_eq!(shown, ["begin", "6", "7", "8", "9", "end", "10"]);
        let line = found[0].line(true);
        assert!(line.contains(" system log-rotation ") && line.ends_with("/events"), "{line}");
    }

    #[test]
    fn nothing_can_be_read_from_nowhere() {
        let error = EventLog::None.reader(Path::new("/nowhere")).err().unwrap();
        assert_eq!(error.to_string(), "cannot read events with the \"none\" backend");
    }
}
