//! A container for which everything is made, and which waits before its command until somebody starts it.

use std::os::fd::{AsFd as _, OwnedFd};

use cask_runtime::ProcessHandle;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::SocketFlags;

use super::super::record::{Held, boot};
use super::super::start::{Beginning, Failure, Terminal};
use super::super::{Status, wire};
use super::life::Life;
use super::relay::Client;
use crate::{Error, ErrorKind, Result};

/// How long whoever connects may take to say what is wanted.
const PATIENCE: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

impl Life<'_> {
    /// Makes everything that the container needs, and writes down that it waits. Its lock is held.
    pub(super) fn prepare(&mut self) -> Result<()> {
        self.make()?;
        let pid = self.made.as_ref().map(|made| made.created.pid()).unwrap_or_default();
        let place = &self.container.place;
        let (config, mut state) = place.load_as_written()?;
        state.status = Status::Initialized;
        state.pid = pid;
        state.pid_started = ProcessHandle::started(pid).unwrap_or_default();
        state.monitor_pid = std::process::id();
        state.boot = boot();
        state.cgroup = self.group_name();
        state.error.clear();
        // What was made for it is taken back by others, should this be killed.
        state.beginning = true;
        place.save(&config, &state)
    }

    /// Waits until somebody has it begin, or ends it: then nothing of it is there any more.
    pub(super) fn wait_for_word(&mut self) -> Result<()> {
        loop {
            let Some(socket) = self.connected()? else {
                self.made = None;
                return Ok(());
            };
            let mut place = [PollFd::new(&socket, PollFlags::IN)];
            if !matches!(poll(&mut place, Some(&PATIENCE)), Ok(1..)) {
                continue;
            }
            let Ok(Some(mut packet)) = wire::receive(&socket) else { continue };
            let beginning = serde_json::from_slice::<Beginning>(&packet.body);
            let (wire::BEGIN, Ok(beginning), Some(lock)) =
                (packet.kind, beginning, packet.descriptors.pop())
            else {
                continue;
            };
            return self.begin_for(socket, &beginning, Held::new(lock.into()));
        }
    }

    /// Has it begin for whoever asked. The lock is held until it has.
    fn begin_for(&mut self, socket: OwnedFd, beginning: &Beginning, held: Held) -> Result<()> {
        self.resize(beginning.size);
        if let Err(error) = self.start() {
            self.discard(&error);
            drop(held);
            let told = serde_json::to_vec(&Failure::of(&error)).unwrap_or_default();
            let _ = wire::send(&socket, wire::FAILED, &told, true);
            return Err(error);
        }
        self.tell(if beginning.attach { &["start", "attach"] } else { &["start"] });
        drop(held);
        let told = wire::send(&socket, wire::STARTED, &[], true).is_ok();
        if beginning.attach && told {
            self.clients.push(Client::new(socket));
        }
        Ok(())
    }

    /// Whoever connects next. `None` where its process has ended first.
    fn connected(&self) -> Result<Option<OwnedFd>> {
        let (Some(made), Some(listener)) = (&self.made, &self.listener) else { return Ok(None) };
        loop {
            let mut places = [
                PollFd::from_borrowed_fd(made.created.as_fd(), PollFlags::IN),
                PollFd::new(listener, PollFlags::IN),
            ];
            match poll(&mut places, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => {
                    let waiting = Error::new(ErrorKind::Io, "waiting for the word to begin", "");
                    return Err(waiting.with_source(error));
                }
            }
            if !places[0].revents().is_empty() {
                return Ok(None);
            }
            if !places[1].revents().is_empty()
                && let Ok(socket) = rustix::net::accept_with(listener, SocketFlags::CLOEXEC)
            {
                return Ok(Some(socket));
            }
        }
    }

    fn resize(&self, size: Option<Terminal>) {
        let terminal = self.made.as_ref().and_then(|made| made.streams.terminal.as_ref());
        if let (Some(terminal), Some(size)) = (terminal, size) {
            let size = rustix::termios::Winsize {
                ws_row: size.rows,
                ws_col: size.columns,
                ws_xpixel: 0,
                ws_ypixel: 0,
            };
            let _ = rustix::termios::tcsetwinsize(terminal, size);
        }
    }
}
