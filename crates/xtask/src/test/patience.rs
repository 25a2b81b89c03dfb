//! What a program prints, line by line, and an end to what it runs where nothing comes any more.

use std::fs;
use std::io::{BufRead as _, BufReader, PipeReader};
use std::process::Child;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::summary::SILENCE;

/// How long a program may print nothing: several times what the largest crate and the longest test take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(480);

/// How long lines are waited for that a program printed before it ended.
const MOMENT: Duration = Duration::from_secs(1);

/// Who is killed when nothing comes any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    /// The program.
    Itself,
    /// What the program runs; it goes on with the next.
    Children,
}

/// Gives each line that `child`, and whatever it runs, prints to the pipe. After a silence of `patience` the victim is
/// killed: a test that hangs fails as others do, and is named.
///
/// # Errors
/// Where the pipe or the child cannot be read.
pub(crate) fn read_lines(
    reader: PipeReader,
    child: &mut Child,
    victim: Victim,
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
    let mut heard = Instant::now();
    loop {
        match lines.recv_timeout(patience.min(MOMENT)) {
            Ok(line) => {
                take(&String::from_utf8_lossy(&line.context("cannot read a pipe")?));
                heard = Instant::now();
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {
                // What a test left behind may keep the pipe open.
                if child.try_wait().context("cannot look at a process")?.is_some() {
                    return Ok(());
                }
                if heard.elapsed() < patience {
                    continue;
                }
                take(&format!("{SILENCE}for {} s: killed", patience.as_secs()));
                heard = Instant::now();
                match victim {
                    Victim::Itself => child.kill().context("cannot kill a process")?,
                    Victim::Children => {
                        for process in children(child.id()) {
                            let _ = kill_process(process, Signal::KILL);
                        }
                    }
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
    use crate::process::{command, spawn_into_pipe};

    /// What a script printed, and whether it ended well.
    fn read(script: &str, victim: Victim, patience: Duration) -> (Vec<String>, bool) {
        let (reader, mut child) = spawn_into_pipe(&mut command("sh", ["-c", script])).unwrap();
        let mut lines = Vec::new();
        let take = |line: &str| lines.push(line.to_owned());
        read_lines(reader, &mut child, victim, patience, take).unwrap();
        (lines, child.wait().unwrap().success())
    }

    #[test]
    fn what_hangs_is_killed_and_what_runs_it_goes_on() {
        let patience = Duration::from_millis(300);
        let script = "echo one; sleep 1000; echo two";
        let (lines, success) = read(script, Victim::Children, patience);
        assert_eq!((lines[0].as_str(), lines[lines.len() - 1].as_str()), ("one", "two"));
        assert!(lines[1].contains("nothing was printed") && success, "{lines:?}");
        let (lines, success) = read("echo one; exec sleep 1000", Victim::Itself, patience);
        assert!(lines.len() == 2 && lines[1].contains("nothing was printed"), "{lines:?}");
        assert!(!success);
    }

    #[test]
    fn what_a_program_leaves_behind_is_not_waited_for() {
        let script = "sleep 1000 & echo $!; echo err >&2";
        let (lines, success) = read(script, Victim::Itself, Duration::from_secs(100));
        let left = Pid::from_raw(lines[0].parse().unwrap()).unwrap();
        kill_process(left, Signal::KILL).expect("it still runs");
        assert!(success && lines[1..] == ["err"], "{lines:?}");
    }
}
