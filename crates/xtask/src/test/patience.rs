//! What a program prints, line by line, and an end to what it runs where nothing comes any more.

use std::fs;
use std::io::{BufRead as _, BufReader, PipeReader};
use std::process::Child;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::summary::SILENCE;

/// How long cargo may print nothing: several times what the largest crate and the longest test take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(480);

/// Gives each line that `child`, and whatever it runs, prints to the pipe. After a silence of `patience` the processes
/// that it runs are killed, and it goes on with the next: a test that hangs fails as others do, and is named.
///
/// # Errors
/// Where the pipe or the child cannot be read.
pub(crate) fn read_lines(
    reader: PipeReader,
    child: &mut Child,
    patience: Duration,
    mut take: impl FnMut(&str),
) -> Result<()> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(reader).split(b'\n') {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    loop {
        match lines.recv_timeout(patience) {
            Ok(line) => take(&String::from_utf8_lossy(&line.context("cannot read a pipe")?)),
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {
                // What a test left behind may keep the pipe open.
                if child.try_wait().context("cannot look at a process")?.is_some() {
                    return Ok(());
                }
                take(&format!("{SILENCE}for {} s: killed", patience.as_secs()));
                for process in children(child.id()) {
                    let _ = kill_process(process, Signal::KILL);
                }
            }
        }
    }
}

/// The processes that one has started.
fn children(parent: u32) -> Vec<Pid> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |pid: &i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let of = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        of.and_then(|of| of.trim().parse().ok()) == Some(parent)
    };
    pids.filter(is_child).filter_map(Pid::from_raw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::command;

    #[test]
    fn what_hangs_is_killed_and_what_runs_it_goes_on() {
        let (reader, writer) = std::io::pipe().expect("there is one");
        let mut shell = command("sh", ["-c", "echo one; sleep 1000; echo two"]);
        let mut child = shell.stdout(writer).spawn().expect("there is a shell");
        drop(shell);
        let mut lines = Vec::new();
        read_lines(reader, &mut child, Duration::from_millis(300), |line| {
            lines.push(line.to_owned());
        })
        .expect("it is read");
        assert_eq!((lines[0].as_str(), lines[lines.len() - 1].as_str()), ("one", "two"));
        assert!(lines[1].contains("nothing was printed"), "{lines:?}");
        child.wait().expect("it has ended");
    }
}
