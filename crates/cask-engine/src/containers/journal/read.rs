//! What containers printed, as the journal has it.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::super::{Container, Containers, LogLine, LogOptions};
use super::entries::{Entries, JournalEntry};
use super::{Journal, Tail};
use crate::{Error, ErrorKind, Result};

/// How often a container whose lines are followed is looked at.
const INTERVAL: Duration = Duration::from_millis(100);
/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// Reads the entries of which certain fields have certain values.
pub(in super::super) struct Reader<'a> {
    program: &'a Path,
    /// Fields and their values, `NAME=VALUE`.
    matches: Vec<String>,
    since: Option<i64>,
    /// The last entry that was read.
    cursor: String,
}

/// Whom an entry is given to; `false` where no more are wanted.
type Give<'g> = dyn FnMut(JournalEntry) -> Result<bool> + 'g;

impl Journal {
    /// The entries of `what`, which these fields tell.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where there is no program that reads them.
    pub(in super::super) fn reader<'a>(
        &'a self,
        what: &str,
        matches: Vec<String>,
        options: &LogOptions,
    ) -> Result<Reader<'a>> {
        let program = self.readers.iter().find(|program| program.is_file()).ok_or_else(|| {
            let why = "they are in the journal, and there is no journalctl here";
            Error::new(ErrorKind::Unsupported, format_args!("reading {what}"), why)
                .with_hint("install journalctl, which belongs to systemd")
        })?;
        Ok(Reader { program, matches, since: options.since, cursor: String::new() })
    }
}

impl Reader<'_> {
    /// Gives every line that there is, and where they are followed those that come until the container has ended.
    pub(in super::super) fn read(
        mut self,
        containers: &Containers,
        container: &Container,
        options: &LogOptions,
        give: &mut dyn FnMut(LogLine) -> Result<bool>,
    ) -> Result<()> {
        let is_up = || {
            options.goes_on()
                && containers.reload(container).is_ok_and(|now| now.state.status.is_up())
        };
        // Asked before reading: what was printed until the end is then read for sure.
        let mut follows = is_up();
        let goes_on = match options.tail {
            None => self.some(&mut lines(give))?,
            Some(most) => {
                let mut tail = Tail::new(most);
                self.some(&mut |entry| {
                    entry.line().into_iter().for_each(|line| tail.push(line));
                    Ok(true)
                })?;
                let mut goes_on = true;
                for line in tail.into_lines() {
                    goes_on = goes_on && give(line)?;
                }
                goes_on
            }
        };
        if !goes_on {
            return Ok(());
        }
        while follows {
            follows = is_up();
            if !self.follow(&is_up, &mut lines(give))? || !self.some(&mut lines(give))? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.program);
        command.args(["--output=export", "--quiet", "--no-pager", "--all"]);
        if !self.cursor.is_empty() {
            command.arg(format!("--after-cursor={}", self.cursor));
        } else if let Some(since) = self.since {
            command.arg(format!("--since=@{since}"));
        }
        command.args(&self.matches);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::new(ErrorKind::Io, self.program.display(), "reading the journal").with_source(error)
    }

    /// Reads those that are there; `false` where no more are wanted.
    pub(in super::super) fn some(&mut self, give: &mut Give<'_>) -> Result<bool> {
        // What was sent to it is in it then. Who may not ask for that sees it a moment later.
        let _ = Command::new(self.program)
            .arg("--sync")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let mut command = self.command();
        command.stderr(Stdio::piped());
        let mut child = Running(command.spawn().map_err(|error| self.failed(error))?);
        let mut stdout = child.stdout();
        let mut entries = Entries::default();
        let mut buffer = vec![0; CHUNK];
        loop {
            match stdout.read(&mut buffer).map_err(|error| self.failed(error))? {
                0 => break,
                length => entries.push(&buffer[..length]),
            }
            if !self.give(&mut entries, give)? {
                return Ok(false);
            }
        }
        let mut said = String::new();
        if let Some(errors) = &mut child.0.stderr {
            let _ = errors.take(CHUNK as u64).read_to_string(&mut said);
        }
        let status = child.0.wait().map_err(|error| self.failed(error))?;
        if status.success() || said.trim().is_empty() {
            return Ok(true);
        }
        let why = format!("{}: {status}", said.trim());
        Err(Error::new(ErrorKind::Io, self.program.display(), why))
    }

    /// Reads those that come, as long as `is_up` says so; `false` where no more are wanted.
    pub(in super::super) fn follow(
        &mut self,
        is_up: &dyn Fn() -> bool,
        give: &mut Give<'_>,
    ) -> Result<bool> {
        let mut command = self.command();
        command.args(["--follow", "--no-tail"]).stderr(Stdio::null());
        let mut child = Running(command.spawn().map_err(|error| self.failed(error))?);
        let mut stdout = child.stdout();
        let mut entries = Entries::default();
        let mut buffer = vec![0; CHUNK];
        let interval = Timespec::try_from(INTERVAL).expect("it is short");
        while is_up() {
            let ready = poll(&mut [PollFd::new(&stdout, PollFlags::IN)], Some(&interval));
            if matches!(ready, Ok(0) | Err(_)) {
                continue;
            }
            match stdout.read(&mut buffer).map_err(|error| self.failed(error))? {
                0 => break,
                length => entries.push(&buffer[..length]),
            }
            if !self.give(&mut entries, give)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn give(&mut self, entries: &mut Entries, give: &mut Give<'_>) -> Result<bool> {
        let malformed = |why: &str| Error::new(ErrorKind::Io, self.program.display(), why);
        while let Some(entry) = entries.next_entry().map_err(malformed)? {
            self.cursor.clone_from(&entry.cursor);
            if !give(entry)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Gives the lines that entries are.
fn lines<'g>(
    give: &'g mut dyn FnMut(LogLine) -> Result<bool>,
) -> impl FnMut(JournalEntry) -> Result<bool> + 'g {
    move |entry| entry.line().map_or(Ok(true), &mut *give)
}

/// A program that ends with this.
struct Running(Child);

impl Running {
    fn stdout(&mut self) -> ChildStdout {
        self.0.stdout.take().expect("it was asked for")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
