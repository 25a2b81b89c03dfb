//! The log of a container: lines as Kubernetes has them.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use super::super::record::{io, now};
use super::super::{ContainerConfig, wire};
use crate::Result;

/// Writes what a container prints: `TIME stdout|stderr F|P TEXT`, where `P` is a part of a line.
///
/// Source: conmon, `src/ctr_logging.c`; the Kubernetes CRI log format.
pub(super) struct Log {
    file: Option<File>,
    path: PathBuf,
    size_bytes: u64,
    max_bytes: Option<u64>,
}

impl Log {
    pub(super) fn open(config: &ContainerConfig, path: PathBuf) -> Result<Self> {
        let max_bytes = config.log.max_size_bytes;
        if config.log.driver == "none" {
            return Ok(Self { file: None, path, size_bytes: 0, max_bytes });
        }
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).mode(0o600).open(&path);
        let file = file.map_err(|error| io(error, "opening the log", &path))?;
        let size_bytes = file.metadata().map_or(0, |found| found.len());
        Ok(Self { file: Some(file), path, size_bytes, max_bytes })
    }

    /// Writes what came on one of both streams. What cannot be written is lost: the container goes on.
    pub(super) fn write(&mut self, kind: u8, bytes: &[u8]) {
        let Some(file) = &mut self.file else { return };
        let stream = if kind == wire::ERROR { "stderr" } else { "stdout" };
        let time = now();
        let time = time.strip_suffix('Z').map_or(time.clone(), |time| format!("{time}+00:00"));
        let mut text = Vec::with_capacity(bytes.len() + 64);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (line, whole) = match line.strip_suffix(b"\n") {
                Some(line) => (line, "F"),
                None => (line, "P"),
            };
            text.extend_from_slice(format!("{time} {stream} {whole} ").as_bytes());
            text.extend_from_slice(line);
            text.push(b'\n');
        }
        if file.write_all(&text).is_ok() {
            self.size_bytes += text.len() as u64;
        }
        if self.max_bytes.is_some_and(|most| self.size_bytes > most) {
            self.rotate();
        }
    }

    /// Puts the log aside, in place of the one that was before, and begins a new one.
    fn rotate(&mut self) {
        let mut old = self.path.clone().into_os_string();
        old.push(".1");
        // Where it cannot be put aside it is cut: the limit holds.
        if std::fs::rename(&self.path, old).is_err() {
            let _ = std::fs::remove_file(&self.path);
        }
        let mut options = OpenOptions::new();
        self.file = options.create(true).append(true).mode(0o600).open(&self.path).ok();
        self.size_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_whole_or_in_parts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ctr.log");
        let mut log = Log::open(&ContainerConfig::default(), path.clone()).unwrap();
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
        let mut log = Log::open(&config, path.clone()).unwrap();
        for _ in 0..1000 {
            log.write(wire::OUTPUT, b"0123456789\n");
        }
        let length = |name: &str| std::fs::metadata(directory.path().join(name)).unwrap().len();
        assert!(length("ctr.log") <= 1100 && length("ctr.log.1") <= 1100);
        config.log.driver = "none".to_owned();
        let nowhere = directory.path().join("none");
        Log::open(&config, nowhere.clone()).unwrap().write(wire::OUTPUT, b"x\n");
        assert!(!nowhere.exists());
    }
}
