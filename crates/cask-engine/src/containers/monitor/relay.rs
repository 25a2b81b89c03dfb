//! One loop for everything that a monitor hears.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use cask_runtime::{ExitReport, Running, Signal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::super::health::Watch;
use super::super::wire;
use super::log::Log;
use crate::{Error, ErrorKind, Result};

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;
/// Bytes of input that wait for the container; more wait with whoever typed them.
const MOST_INPUT: usize = 64 << 10;
/// How many may be attached at once.
const MOST_CLIENTS: usize = 64;

/// Somebody who is attached.
pub(super) struct Client {
    socket: OwnedFd,
    /// What it has not taken yet: while there is any, nothing more is read from the container.
    pending: VecDeque<(u8, Vec<u8>)>,
    gone: bool,
}

impl Client {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self { socket, pending: VecDeque::new(), gone: false }
    }

    fn offer(&mut self, kind: u8, bytes: &[u8]) {
        if !self.gone {
            let parts = bytes.chunks(wire::LONGEST);
            self.pending.extend(parts.map(|part| (kind, part.to_vec())));
            self.flush();
        }
    }

    /// Says something that has no more words.
    fn answer(&mut self, kind: u8) {
        self.pending.push_back((kind, Vec::new()));
        self.flush();
    }

    fn flush(&mut self) {
        while let Some((kind, bytes)) = self.pending.front() {
            match wire::send(&self.socket, *kind, bytes, false) {
                Ok(true) => drop(self.pending.pop_front()),
                Ok(false) => return,
                Err(_) => {
                    self.gone = true;
                    return self.pending.clear();
                }
            }
        }
    }

    /// Tells what is left and how the container ended, and waits until that is heard.
    pub(super) fn tell_end(self, code: i32) {
        for (kind, bytes) in &self.pending {
            if wire::send(&self.socket, *kind, bytes, true).is_err() {
                return;
            }
        }
        let _ = wire::send(&self.socket, wire::ENDED, &code.to_le_bytes(), true);
    }
}

/// The ends of what a container reads and writes.
pub(super) struct Streams {
    /// The terminal, which is both.
    pub(super) terminal: Option<OwnedFd>,
    pub(super) input: Option<OwnedFd>,
    pub(super) output: Option<OwnedFd>,
    pub(super) error: Option<OwnedFd>,
}

pub(super) struct Loop<'a> {
    pub(super) running: Running,
    pub(super) streams: Streams,
    pub(super) listener: &'a OwnedFd,
    pub(super) clients: &'a mut Vec<Client>,
    pub(super) log: &'a mut Log,
    pub(super) deadline: Option<Instant>,
    health: &'a mut Watch,
    waiting: Vec<u8>,
    closing: bool,
    /// What was read last.
    buffer: Vec<u8>,
}

/// How a container ended.
pub(super) struct End {
    pub(super) report: ExitReport,
    /// Its time was up.
    pub(super) timed_out: bool,
}

/// What a place in the list is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Running,
    Listener,
    Output,
    Error,
    Input,
    Client(usize),
}

impl<'a> Loop<'a> {
    pub(super) fn new(
        running: Running,
        streams: Streams,
        listener: &'a OwnedFd,
        clients: &'a mut Vec<Client>,
        log: &'a mut Log,
        health: &'a mut Watch,
        deadline: Option<Instant>,
    ) -> Self {
        for end in [&streams.terminal, &streams.input, &streams.output, &streams.error]
            .into_iter()
            .flatten()
        {
            // An end that would block is asked again later.
            let _ = rustix::fs::fcntl_setfl(end, OFlags::NONBLOCK);
        }
        Self {
            running,
            streams,
            listener,
            clients,
            log,
            deadline,
            health,
            waiting: Vec::new(),
            closing: false,
            buffer: vec![0; CHUNK],
        }
    }

    /// Relays until the container has ended, and all that it printed has been taken.
    pub(super) fn run(mut self) -> Result<End> {
        let mut timed_out = false;
        loop {
            let ready = self.wait()?;
            for place in ready {
                match place {
                    Place::Running => {}
                    Place::Listener => self.accept(),
                    Place::Output => self.take_output(wire::OUTPUT),
                    Place::Error => self.take_output(wire::ERROR),
                    Place::Input => self.give_input(),
                    Place::Client(number) => self.hear(number),
                }
            }
            self.clients.retain(|client| !client.gone);
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.deadline = None;
                timed_out = true;
                self.running.kill()?;
            }
            if let Some(report) = self.running.ended()? {
                self.drain();
                return Ok(End { report, timed_out });
            }
        }
    }

    /// Waits for anything, and says what.
    fn wait(&self) -> Result<Vec<Place>> {
        let mut places = vec![
            (Place::Running, self.running.as_fd(), PollFlags::IN),
            (Place::Listener, self.listener.as_fd(), PollFlags::IN),
        ];
        // Whoever is attached and slow slows the container down: nothing is lost, and nothing piles up.
        if self.clients.iter().all(|client| client.pending.is_empty()) {
            let output = self.streams.terminal.as_ref().or(self.streams.output.as_ref());
            places.extend(output.map(|end| (Place::Output, end.as_fd(), PollFlags::IN)));
            let error = self.streams.error.as_ref();
            places.extend(error.map(|end| (Place::Error, end.as_fd(), PollFlags::IN)));
        }
        if !self.waiting.is_empty() {
            places.extend(self.input().map(|end| (Place::Input, end, PollFlags::OUT)));
        }
        for (number, client) in self.clients.iter().enumerate() {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, self.waiting.len() < MOST_INPUT);
            flags.set(PollFlags::OUT, !client.pending.is_empty());
            places.push((Place::Client(number), client.socket.as_fd(), flags));
        }
        let mut polled: Vec<PollFd<'_>> =
            places.iter().map(|(_, end, flags)| PollFd::from_borrowed_fd(*end, *flags)).collect();
        let left = self.deadline.map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            Timespec::try_from(left).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 })
        });
        match poll(&mut polled, left.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => {
                return Err(
                    Error::new(ErrorKind::Io, "waiting for the container", "").with_source(error)
                );
            }
        }
        let ready = polled.iter().map(|place| !place.revents().is_empty());
        Ok(places
            .iter()
            .zip(ready)
            .filter(|(_, ready)| *ready)
            .map(|((place, ..), _)| *place)
            .collect())
    }

    fn input(&self) -> Option<BorrowedFd<'_>> {
        self.streams.terminal.as_ref().or(self.streams.input.as_ref()).map(AsFd::as_fd)
    }

    fn accept(&mut self) {
        let flags = rustix::net::SocketFlags::CLOEXEC;
        if let Ok(socket) = rustix::net::accept_with(self.listener, flags)
            && self.clients.len() < MOST_CLIENTS
        {
            self.clients.push(Client::new(socket));
        }
    }

    /// Reads once; says whether there was anything.
    fn take_output(&mut self, kind: u8) {
        self.take_some(kind);
    }

    fn take_some(&mut self, kind: u8) -> bool {
        let Streams { terminal, output, error, .. } = &mut self.streams;
        let end = match kind {
            wire::ERROR => error,
            _ if terminal.is_some() => terminal,
            _ => output,
        };
        let Some(open) = end else { return false };
        match rustix::io::read(&*open, &mut self.buffer[..]) {
            Ok(count @ 1..) => {
                self.log.write(kind, &self.buffer[..count]);
                for client in self.clients.iter_mut() {
                    client.offer(kind, &self.buffer[..count]);
                }
                true
            }
            Err(Errno::AGAIN | Errno::INTR) => false,
            // At its end; of a terminal that is an error.
            _ => {
                *end = None;
                false
            }
        }
    }

    /// What was printed just before the end: no more than a pipe holds. Those who are attached get it all, in their
    /// time.
    fn drain(&mut self) {
        for kind in [wire::OUTPUT, wire::ERROR] {
            while self.take_some(kind) {}
        }
        self.clients.retain(|client| !client.gone);
    }

    /// Writes what was typed.
    fn give_input(&mut self) {
        let Some(end) = self.input() else { return self.waiting.clear() };
        match rustix::io::write(end, &self.waiting) {
            Ok(count) => drop(self.waiting.drain(..count)),
            Err(Errno::AGAIN | Errno::INTR) => return,
            // Nobody reads it any more.
            Err(_) => {
                self.waiting.clear();
                self.closing = true;
            }
        }
        self.close_input();
    }

    /// Closes the input once all of it was read.
    fn close_input(&mut self) {
        if self.closing && self.waiting.is_empty() {
            self.streams.input = None;
        }
    }

    fn hear(&mut self, number: usize) {
        let client = &mut self.clients[number];
        client.flush();
        if client.gone || self.waiting.len() >= MOST_INPUT {
            return;
        }
        let mut place = [PollFd::new(&client.socket, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        if !matches!(poll(&mut place, Some(&now)), Ok(1..)) {
            return;
        }
        let Ok(Some(packet)) = wire::receive(&client.socket) else {
            client.gone = true;
            return;
        };
        match (packet.kind, packet.body.as_slice()) {
            (wire::INPUT, bytes) if self.input().is_some() => {
                self.waiting.extend_from_slice(bytes);
                self.give_input();
            }
            (wire::INPUT_END, _) => {
                self.closing = true;
                self.close_input();
            }
            (wire::RESIZE, [r0, r1, c0, c1]) => {
                let (rows, columns) =
                    (u16::from_le_bytes([*r0, *r1]), u16::from_le_bytes([*c0, *c1]));
                self.resize(rows, columns);
            }
            (wire::HEALTH, []) => {
                self.health.changed();
                self.clients[number].answer(wire::HEALTH);
            }
            (wire::SIGNAL, [signal]) => {
                if let Some(signal) = Signal::from_number(i32::from(*signal)) {
                    // One that cannot be sent any more finds nobody.
                    let _ = self.running.signal(signal);
                }
            }
            _ => {}
        }
    }

    fn resize(&self, rows: u16, columns: u16) {
        if let Some(terminal) = &self.streams.terminal {
            let size = rustix::termios::Winsize {
                ws_row: rows,
                ws_col: columns,
                ws_xpixel: 0,
                ws_ypixel: 0,
            };
            let _ = rustix::termios::tcsetwinsize(terminal, size);
        }
    }
}
