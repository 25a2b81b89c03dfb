//! Starting the helper, telling it the plan, and hearing what became of it.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Signal, pidfd_send_signal};

use crate::cancel::Cancel;
use crate::channel::{Channel, Frame, MOST_DESCRIPTORS};
use crate::error::{Error, ErrorKind, Result};
use crate::hooks::Hooked;
use crate::plan::{Ended, Failure, message};
use crate::prepare::{Prepared, memory_file};
use crate::report::{ExitReport, ExitStatus, Note, Usage};
use crate::wire::Wire;

pub(crate) use crate::program::Program;

/// Who writes the ID maps of the helper's user namespace, which is `pid`'s.
pub(crate) type WriteMaps<'a> = &'a dyn Fn(u32) -> Result<()>;

/// Runs a prepared plan to its end.
pub(crate) fn launch(
    program: &Program,
    path: &Path,
    argument: &OsStr,
    prepared: Prepared,
    cancel: &Cancel,
    write_maps: WriteMaps<'_>,
) -> Result<ExitReport> {
    if cancel.is_cancelled() {
        return Err(cancelled());
    }
    let mut helper = Helper::with_plan(program, path, argument, prepared)?;
    let outcome = loop {
        if helper.wait(cancel)? {
            break Err(cancelled());
        }
        if let Event::Ended(ended) = helper.next(write_maps)? {
            break Ok(ended);
        }
    };
    helper.leave();
    outcome
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "run", "the process").with_detail("cancelled")
}

/// A helper that runs. Dropped, it ends the process and waits until everything is removed.
#[derive(Debug)]
pub(crate) struct Helper {
    child: Child,
    channel: Option<Channel>,
    /// The process itself and its number. Should the helper be killed alone, it is killed by it.
    pub(crate) process: Option<(u32, OwnedFd)>,
    /// The other end of its terminal.
    pub(crate) terminal: Option<OwnedFd>,
    pub(crate) notes: Vec<Note>,
    hooked: Option<Hooked>,
    /// Whether the helper has said anything.
    heard: bool,
    argument: String,
}

/// What a helper says.
pub(crate) enum Event {
    /// Something that is kept, or needs nobody.
    Noted,
    /// The process is as it shall be, and waits.
    Ready,
    /// The command began.
    Started,
    /// All is over.
    Ended(ExitReport),
}

impl Drop for Helper {
    fn drop(&mut self) {
        // The helper takes the closed socket as the order to end.
        self.channel = None;
        // A parent that ignores its children has nothing to wait for.
        let _ = self.child.wait();
        // Where it did not come to its end by itself nobody is there to hear what failed.
        let _ = self.hooked.take().map(Hooked::ended);
    }
}

impl Helper {
    /// Starts a helper and tells it everything.
    pub(crate) fn with_plan(
        program: &Program,
        path: &Path,
        argument: &OsStr,
        prepared: Prepared,
    ) -> Result<Self> {
        let Prepared { plan, descriptors, notes, hooked } = prepared;
        let bytes = memory_file(&plan.to_bytes())?;
        let mut helper = Self::start(&*program.sealed(path)?, path, argument)?;
        helper.notes = notes;
        helper.hooked = hooked;
        let descriptors: Vec<OwnedFd> = std::iter::once(bytes).chain(descriptors).collect();
        match helper.send(&descriptors) {
            Ok(()) => Ok(helper),
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                Err(helper.ended_unasked())
            }
            Err(error) => Err(Error::io(error, "tell", "the helper")),
        }
    }

    fn start(program: &OwnedFd, path: &Path, argument: &OsStr) -> Result<Self> {
        let failed = |error| Error::io(error, "start the helper", path.display());
        let (near, far) = Channel::pair().map_err(failed)?;
        let child = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
            .arg0("cask-run")
            .arg(argument)
            .env_clear()
            .stdin(Stdio::from(far.into_inner()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let argument = argument.to_string_lossy().into_owned();
        Ok(Self {
            child,
            channel: Some(near),
            process: None,
            terminal: None,
            notes: Vec::new(),
            hooked: None,
            heard: false,
            argument,
        })
    }

    /// Tells the process to begin.
    pub(crate) fn begin(&mut self) -> Result<()> {
        let Some(channel) = &self.channel else { return Err(self.ended_unasked()) };
        match channel.send(message::BEGIN, &[], &[]) {
            // What became of it is heard next.
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(Error::io(error, "tell", "the helper")),
        }
    }

    fn pid(&self) -> u32 {
        self.process.as_ref().map_or(0, |(number, _)| *number)
    }

    /// Where there is something to hear.
    pub(crate) fn channel(&self) -> Option<&Channel> {
        self.channel.as_ref()
    }

    /// Lets the helper go when all is over.
    pub(crate) fn leave(&mut self) {
        self.channel = None;
        let _ = self.child.wait();
    }

    /// Hears what comes next, and waits for it.
    pub(crate) fn next(&mut self, write_maps: WriteMaps<'_>) -> Result<Event> {
        match self.receive()? {
            Some(frame) => {
                self.heard = true;
                self.answer(frame, write_maps)
            }
            None => Err(self.ended_unasked()),
        }
    }

    fn send(&self, descriptors: &[OwnedFd]) -> std::io::Result<()> {
        let Some(channel) = &self.channel else { return Ok(()) };
        let count = u32::try_from(descriptors.len()).unwrap_or(u32::MAX).to_bytes();
        for (number, part) in descriptors.chunks(MOST_DESCRIPTORS).enumerate() {
            let part: Vec<_> = part.iter().map(AsFd::as_fd).collect();
            let kind = if number == 0 { message::PLAN } else { message::MORE };
            channel.send(kind, &count, &part)?;
        }
        Ok(())
    }

    /// Waits for a message or for the end of patience, which is `true`.
    fn wait(&self, cancel: &Cancel) -> Result<bool> {
        let Some(channel) = &self.channel else { return Ok(true) };
        loop {
            let mut places =
                [PollFd::new(channel, PollFlags::IN), PollFd::new(cancel, PollFlags::IN)];
            match poll(&mut places, None) {
                Err(Errno::INTR) => {}
                Err(error) => return Err(Error::io(error, "wait for", "the helper")),
                Ok(_) => return Ok(!places[1].revents().is_empty()),
            }
        }
    }

    fn receive(&self) -> Result<Option<Frame>> {
        match &self.channel {
            Some(channel) => {
                channel.receive().map_err(|error| Error::io(error, "hear", "the helper"))
            }
            None => Ok(None),
        }
    }

    fn answer(&mut self, mut frame: Frame, write_maps: WriteMaps<'_>) -> Result<Event> {
        let malformed = |_| Error::new(ErrorKind::Io, "read", "what the helper said");
        match frame.kind {
            message::MAPS => {
                write_maps(self.child.id())?;
                let channel = self.channel.as_ref();
                let sent = channel.map(|channel| channel.send(message::MAPS, &[], &[]));
                sent.transpose().map_err(|error| Error::io(error, "tell", "the helper"))?;
            }
            message::PROCESS => {
                let number = u32::from_bytes(&frame.body).map_err(malformed)?;
                self.process = frame.descriptors.pop().map(|process| (number, process));
            }
            message::TERMINAL => self.terminal = frame.descriptors.pop(),
            message::NOTE => self.notes.push(Note::from_bytes(&frame.body).map_err(malformed)?),
            message::BEGIN => return Ok(Event::Ready),
            message::HOOKS => {
                let pid = self.pid();
                self.hooked.as_mut().map_or(Ok(()), |hooked| hooked.create(pid))?;
                let channel = self.channel.as_ref();
                let sent = channel.map(|channel| channel.send(message::HOOKS, &[], &[]));
                sent.transpose().map_err(|error| Error::io(error, "tell", "the helper"))?;
            }
            message::STARTED => {
                let pid = self.pid();
                self.hooked.as_ref().map_or(Ok(()), |hooked| hooked.started(pid))?;
                return Ok(Event::Started);
            }
            message::FAILURE => {
                let failure = Failure::from_bytes(&frame.body).map_err(malformed)?;
                return Err(failure.into_error());
            }
            message::ENDED => {
                let ended = Ended::from_bytes(&frame.body).map_err(malformed)?;
                self.notes.extend(self.hooked.take().into_iter().flat_map(Hooked::ended));
                return Ok(Event::Ended(report(&ended, std::mem::take(&mut self.notes))));
            }
            _ => {}
        }
        Ok(Event::Noted)
    }

    /// The helper is gone without a word about the process.
    fn ended_unasked(&mut self) -> Error {
        if let Some((_, process)) = &self.process {
            // Usually the kernel has killed it with the helper.
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
        self.channel = None;
        let status = self.child.wait().map_or_else(|error| error.to_string(), |s| s.to_string());
        let error = Error::new(ErrorKind::Io, "run", "the helper")
            .with_detail(format!("it ended without a word ({status})"));
        if self.heard {
            return error.with_hint("something killed it: see the kernel's log for lack of memory");
        }
        error.with_hint(format!(
            "the program must call cask_runtime::run_helper() first of all where its first argument is {:?}",
            self.argument
        ))
    }
}

fn report(ended: &Ended, notes: Vec<Note>) -> ExitReport {
    ExitReport {
        status: ExitStatus::from_wait(ended.status),
        usage: Usage {
            user: Duration::from_micros(ended.user_micros),
            system: Duration::from_micros(ended.system_micros),
            max_resident_bytes: ended.max_resident_kib.saturating_mul(1024),
            blocks_read: ended.blocks_read,
            blocks_written: ended.blocks_written,
        },
        wall: Duration::from_nanos(ended.wall_nanos),
        out_of_memory_kills: ended.out_of_memory_kills,
        notes,
    }
}
