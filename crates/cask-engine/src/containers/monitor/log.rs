//! The log of a container: lines as Kubernetes has them.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::super::journal::{Journal, Writer};
use super::super::logging::LogDriver;
use super::super::logs::numbered;
use super::super::record::{io, now};
use super::super::{ContainerConfig, wire};
use crate::Result;

/// Bytes that are written at once, about.
const MOST_TEXT: usize = 256 << 10;

/// Writes what a container prints: `TIME stdout|stderr F|P TEXT`, where `P` is a part of a line.
///
/// What was read is written before anything else is read: a monitor that is killed has lost no more than a pipe holds.
///
/// Source: conmon, `src/ctr_logging.c`; the Kubernetes CRI log format.
pub(super) struct Log {
    journal: Option<Writer>,
    file: Option<File>,
    path: PathBuf,
    size_bytes: u64,
    max_bytes: Option<u64>,
    max_files: u32,
    /// Lines that are about to be written.
    text: Vec<u8>,
}

impl Log {
    /// Has what a container prints go where it says: into the file at `path`, or into the journal.
    pub(super) fn open(
        config: &ContainerConfig,
        path: Option<PathBuf>,
        journal: &Journal,
    ) -> Result<Self> {
        let max_bytes = config.log.max_size_bytes.filter(|bytes| *bytes > 0);
        let mut log = Self {
            journal: None,
            file: None,
            path: path.unwrap_or_default(),
            size_bytes: 0,
            max_bytes,
            max_files: config.log.most_files(),
            text: Vec::new(),
        };
        match LogDriver::of(config)? {
            LogDriver::File => {}
            LogDriver::None | LogDriver::PassThrough => return Ok(log),
            LogDriver::Journal => {
                log.journal = Some(Writer::open(journal, config)?);
                return Ok(log);
            }
        }
        let opened = open(&log.path).map_err(|error| io(error, "opening the log", &log.path))?;
        log.size_bytes = opened.metadata().map_or(0, |found| found.len());
        log.file = Some(opened);
        Ok(log)
    }

    /// Writes what came on one of both streams. What cannot be written is lost: the container goes on.
    pub(super) fn write(&mut self, kind: u8, bytes: &[u8]) {
        if let Some(journal) = &mut self.journal {
            return journal.write(kind, bytes);
        }
        if self.file.is_none() {
            return;
        }
        let stream = if kind == wire::ERROR { "stderr" } else { "stdout" };
        let time = now();
        let time = time.strip_suffix('Z').map_or(time.clone(), |time| format!("{time}+00:00"));
        // The same before every line of what was read at once.
        let before_whole = format!("{time} {stream} F ").into_bytes();
        let before_part = format!("{time} {stream} P ").into_bytes();
        let mut rest = bytes;
        while !rest.is_empty() {
            let all = rest;
            // Reading from memory does not fail. This is the C library's search, fast in debug builds too.
            let length = rest.skip_until(b'\n').unwrap_or(all.len());
            let line = &all[..length];
            let is_whole = line.last() == Some(&b'\n');
            let before = if is_whole { &before_whole } else { &before_part };
            self.make_room(before.len() + line.len() + usize::from(!is_whole));
            self.text.extend_from_slice(before);
            self.text.extend_from_slice(line);
            if !is_whole {
                self.text.push(b'\n');
            }
        }
        self.flush();
    }

    /// Nothing more comes: writes what waits for the end of its line.
    pub(super) fn finish(&mut self) {
        if let Some(journal) = &mut self.journal {
            journal.finish();
        }
    }

    /// Has a line of so many bytes fit in: into memory, and into the log.
    fn make_room(&mut self, length: usize) {
        let size_bytes = self.size_bytes + self.text.len() as u64;
        if size_bytes > 0 && self.max_bytes.is_some_and(|most| size_bytes + length as u64 > most) {
            self.flush();
            self.rotate();
        } else if self.text.len() + length > MOST_TEXT {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if let Some(file) = &mut self.file
            && file.write_all(&self.text).is_ok()
        {
            self.size_bytes += self.text.len() as u64;
        }
        self.text.clear();
    }

    /// Puts the log aside, and those that were before one further, in place of the oldest; begins a new one.
    fn rotate(&mut self) {
        let old = |number: u32| numbered(&self.path, number);
        for number in (2..self.max_files).rev() {
            // The first ones are not there yet.
            let _ = std::fs::rename(old(number - 1), old(number));
        }
        // Where it cannot be put aside it is cut: the limit holds.
        if self.max_files < 2 || std::fs::rename(&self.path, old(1)).is_err() {
            let _ = std::fs::remove_file(&self.path);
        }
        self.file = open(&self.path).ok();
        self.size_bytes = 0;
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open_log(config: &ContainerConfig, path: &Path) -> Log {
        Log::open(config, Some(path.to_owned()), &Journal::default()).unwrap()
    }

    #[test]
    fn lines_are_written_whole_or_in_parts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ctr.log");
        let mut log = open_log(&ContainerConfig::default(), &path);
        log.write(wire::OUTPUT, b"one\ntw");
        log.write(wire::ERROR, b"o\n");
        let text = std::fs::read_to_string(&path).unwrap();
        let ends: Vec<&str> = text.lines().map(|line| line.split_once(' ').unwrap().1).collect();
        assert_eq!(ends, ["stdout F one", "stdout P tw", "stderr F o"]);
        assert!(text.lines().all(|line| line.split(' ').next().unwrap().ends_with("+00:00")));
    }

    #[test]
    fn a_log_does_not_grow_above_its_limit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ctr.log");
        let mut config = ContainerConfig::default();
        config.log.max_size_bytes = Some(1000);
        let mut log = open_log(&config, &path);
        for _ in 0..1000 {
            log.write(wire::OUTPUT, b"0123456789\n");
        }
        let length = |name: &str| std::fs::metadata(directory.path().join(name)).unwrap().len();
        assert!(length("ctr.log") <= 1000 && length("ctr.log.1") <= 1000);
        // Also of what was read at once.
        log.write(wire::ERROR, &b"y\n".repeat(1000));
        assert!(length("ctr.log") <= 1000 && length("ctr.log.1") <= 1000);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.lines().all(|line| line.ends_with(" stderr F y")), "{text}");
        assert!(!directory.path().join("ctr.log.2").exists());
        config.log.max_files = Some(3);
        open_log(&config, &path).write(wire::OUTPUT, &b"z\n".repeat(1000));
        assert!(length("ctr.log.1") <= 1000 && length("ctr.log.2") <= 1000);
        assert!(!directory.path().join("ctr.log.3").exists());
        config.log.driver = "none".to_owned();
        let nowhere = directory.path().join("none");
        open_log(&config, &nowhere).write(wire::OUTPUT, b"x\n");
        assert!(!nowhere.exists());
    }
}
