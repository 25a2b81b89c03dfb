//! A process that was created, and one that runs.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::{Error, ErrorKind, Result};
use crate::launch::{Event, Helper};
use crate::report::{ExitReport, Note};
use crate::signal::Signal;
use crate::sys;

/// A process that has everything, and waits before its command. Dropped, it is ended.
#[derive(Debug)]
pub struct Created(Helper);

impl Created {
    pub(crate) fn wait(mut helper: Helper, write_maps: &dyn Fn(u32) -> Result<()>) -> Result<Self> {
        loop {
            match helper.next(write_maps)? {
                Event::Ready => return Ok(Self(helper)),
                Event::Ended(_) => return Err(ended("create")),
                Event::Noted | Event::Started => {}
            }
        }
    }

    /// Its number for this process. In a namespace of its own it is number 1 for itself.
    pub fn pid(&self) -> u32 {
        self.0.process.as_ref().map_or(0, |(number, _)| *number)
    }

    /// What differs from what was asked for.
    pub fn notes(&self) -> &[Note] {
        &self.0.notes
    }

    /// The other end of its terminal; the first time, and where it has one.
    pub fn take_terminal(&mut self) -> Option<OwnedFd> {
        self.0.terminal.take()
    }

    /// Has it begin.
    ///
    /// # Errors
    ///
    /// `CommandNotFound` and `CommandNotExecutable`, and `Io` where something killed it meanwhile.
    pub fn start(self) -> Result<Running> {
        let Self(mut helper) = self;
        helper.begin()?;
        loop {
            match helper.next(&|_| Ok(()))? {
                Event::Started => return Ok(Running { helper, over: None }),
                Event::Ended(report) => {
                    helper.leave();
                    return Ok(Running { helper, over: Some(report) });
                }
                Event::Noted | Event::Ready => {}
            }
        }
    }
}

impl AsFd for Created {
    /// Readable when it is no more, as when something killed it.
    fn as_fd(&self) -> BorrowedFd<'_> {
        heard_from(&self.0)
    }
}

fn ended(what: &'static str) -> Error {
    Error::new(ErrorKind::Io, what, "the process").with_detail("something killed it")
}

/// A process that runs. Dropped, it is ended, and everything of it removed.
#[derive(Debug)]
pub struct Running {
    helper: Helper,
    over: Option<ExitReport>,
}

impl Running {
    /// Its number for this process.
    pub fn pid(&self) -> u32 {
        self.helper.process.as_ref().map_or(0, |(number, _)| *number)
    }

    /// What differs from what was asked for.
    pub fn notes(&self) -> &[Note] {
        &self.helper.notes
    }

    /// Sends it a signal. One that has ended is no error.
    ///
    /// # Errors
    ///
    /// `Denied`, and `Io`.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let Some((_, process)) = &self.helper.process else { return Ok(()) };
        send(process.as_fd(), signal)
    }

    /// Kills it, and with it all of its namespace; of a process that shares those of others, itself only, but
    /// what is left behind is killed by the helper, or with its [control group](crate::Cgroup::kill).
    ///
    /// # Errors
    ///
    /// As [`signal`](Self::signal).
    pub fn kill(&self) -> Result<()> {
        self.signal(Signal::KILL)
    }

    /// How it ended; `None` while it runs. Does not wait: see [`AsFd`].
    ///
    /// # Errors
    ///
    /// `Io` where something killed the helper: the process has ended too.
    pub fn ended(&mut self) -> Result<Option<ExitReport>> {
        while self.over.is_none() {
            let Some(channel) = self.helper.channel() else { break };
            let mut places = [PollFd::new(channel, PollFlags::IN)];
            match poll(&mut places, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
                Ok(0) => return Ok(None),
                Ok(_) => self.hear()?,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(Error::io(error, "wait for", "the helper")),
            }
        }
        Ok(self.over.clone())
    }

    /// Waits until it, and all that it started in its namespace, has ended.
    ///
    /// # Errors
    ///
    /// As [`ended`](Self::ended).
    pub fn wait(mut self) -> Result<ExitReport> {
        loop {
            if let Some(report) = self.over.take() {
                return Ok(report);
            }
            self.hear()?;
        }
    }

    fn hear(&mut self) -> Result<()> {
        if let Event::Ended(report) = self.helper.next(&|_| Ok(()))? {
            self.over = Some(report);
            self.helper.leave();
        }
        Ok(())
    }
}

impl AsFd for Running {
    /// Readable when [`ended`](Running::ended) has something to tell. Of a process that has ended, it is the
    /// process itself, which is always readable.
    fn as_fd(&self) -> BorrowedFd<'_> {
        heard_from(&self.helper)
    }
}

fn heard_from(helper: &Helper) -> BorrowedFd<'_> {
    match (helper.channel(), &helper.process) {
        (Some(channel), _) => channel.as_fd(),
        (None, Some((_, process))) => process.as_fd(),
        // A helper without either has said nothing, and nothing was made of it.
        (None, None) => rustix::stdio::stdin(),
    }
}

/// Sends a signal by descriptor; a process that has ended is no error.
pub(crate) fn send(process: BorrowedFd<'_>, signal: Signal) -> Result<()> {
    match sys::pidfd_send_signal(process, signal.number()) {
        Err(error) if error.raw_os_error() != Some(libc::ESRCH) => {
            Err(Error::io(error, "signal", "the process"))
        }
        _ => Ok(()),
    }
}
