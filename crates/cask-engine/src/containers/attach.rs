//! Being attached to a container: what is typed goes in, what it prints comes out.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};

use super::start::Terminal;
use super::{Container, Containers, wire};
use crate::{Error, ErrorKind, Result};

/// The keys that leave a container as it is. Source: containers/common, `DetachKeys`.
pub const DETACH_KEYS: &str = "ctrl-p,ctrl-q";

/// A connection to the monitor of a container.
#[derive(Debug)]
pub struct Attached {
    socket: OwnedFd,
    terminal: bool,
}

/// What is relayed to where.
#[derive(Debug)]
#[non_exhaustive]
pub struct Relay<'a> {
    /// What the container reads; `None` is nothing.
    pub input: Option<BorrowedFd<'a>>,
    /// Where its output goes; `None` is nowhere.
    pub output: Option<BorrowedFd<'a>>,
    /// Where its errors go.
    pub error: Option<BorrowedFd<'a>>,
    /// Where orders come from, four bytes each: `s` with a signal to be passed on, or `w` where the terminal has
    /// another size.
    pub orders: Option<BorrowedFd<'a>>,
    /// The keys that end the relay, as [`parse_detach_keys`] gives them; none never does.
    pub detach_keys: Vec<u8>,
}

impl Default for Relay<'_> {
    /// Nothing from nowhere.
    fn default() -> Self {
        Self { input: None, output: None, error: None, orders: None, detach_keys: Vec::new() }
    }
}

/// How a relay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayEnd {
    /// The container ended with this code.
    Exited(i32),
    /// Somebody typed the keys that leave it as it is.
    Detached,
    /// The monitor is gone without a word.
    Lost,
}

/// Reads keys such as `ctrl-p,ctrl-q` or `a`. Empty is none.
///
/// Source: moby, `pkg/term`, `ToBytes`.
///
/// # Errors
/// [`ErrorKind::Invalid`].
pub fn parse_detach_keys(text: &str) -> Result<Vec<u8>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let key = |key: &str| -> Option<u8> {
        if let [byte] = key.as_bytes() {
            return Some(*byte);
        }
        let [byte] = key.strip_prefix("ctrl-")?.as_bytes() else { return None };
        match byte {
            b'a'..=b'z' => Some(byte - b'a' + 1),
            b'@' => Some(0),
            b'[' => Some(27),
            b'\\' => Some(28),
            b']' => Some(29),
            b'^' => Some(30),
            b'_' => Some(31),
            _ => None,
        }
    };
    text.split(',').map(key).collect::<Option<_>>().ok_or_else(|| {
        let why =
            "invalid detach keys: they are single characters or ctrl- and one, separated by commas";
        Error::new(ErrorKind::Invalid, format_args!("{text:?}"), why)
    })
}

/// Bytes as they were typed, without keys that end the relay.
pub(super) struct DetachKeys {
    keys: Vec<u8>,
    seen: usize,
}

impl DetachKeys {
    pub(super) fn new(keys: Vec<u8>) -> Self {
        Self { keys, seen: 0 }
    }

    /// What of `bytes` goes on; `None` where the last key was typed.
    pub(super) fn filter(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        if self.keys.is_empty() {
            return Some(bytes.to_vec());
        }
        let mut passed = Vec::with_capacity(bytes.len());
        for byte in bytes {
            if *byte == self.keys[self.seen] {
                self.seen += 1;
                if self.seen == self.keys.len() {
                    return None;
                }
                continue;
            }
            // What looked like the keys was none.
            passed.extend_from_slice(&self.keys[..self.seen]);
            self.seen = 0;
            if *byte == self.keys[0] && self.keys.len() > 1 {
                self.seen = 1;
            } else {
                passed.push(*byte);
            }
        }
        Some(passed)
    }
}

/// Relays between a terminal that is ours to relay and another one, until the first is at its end: `true`; or the
/// keys are typed: `false`. Orders are those of [`Relay`], of which only new sizes are followed.
///
/// # Errors
/// [`ErrorKind::Io`].
pub fn relay_terminal(
    terminal: BorrowedFd<'_>,
    input: Option<BorrowedFd<'_>>,
    output: BorrowedFd<'_>,
    orders: BorrowedFd<'_>,
    detach_keys: Vec<u8>,
) -> Result<bool> {
    let duplicate = |end: BorrowedFd<'_>| end.try_clone_to_owned().map(File::from).map_err(failed);
    let (mut terminal, mut output, mut orders) =
        (duplicate(terminal)?, duplicate(output)?, duplicate(orders)?);
    let mut input = input.map(duplicate).transpose()?;
    let mut keys = DetachKeys::new(detach_keys);
    let mut buffer = [0; 16 << 10];
    loop {
        let mut places =
            vec![PollFd::new(&terminal, PollFlags::IN), PollFd::new(&orders, PollFlags::IN)];
        places.extend(input.iter().map(|input| PollFd::new(input, PollFlags::IN)));
        match poll(&mut places, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(failed(error.into())),
        }
        let ready: Vec<bool> = places.iter().map(|place| !place.revents().is_empty()).collect();
        if ready[0] {
            match terminal.read(&mut buffer) {
                Ok(count @ 1..) => output.write_all(&buffer[..count]).map_err(failed)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Nobody has the other end any more, which is an error for terminals.
                _ => return Ok(true),
            }
        }
        if ready[1] {
            let mut order = [0; 4];
            orders.read_exact(&mut order).map_err(failed)?;
            if let Ok(size) = rustix::termios::tcgetwinsize(&output) {
                // A terminal that is gone has no size.
                let _ = rustix::termios::tcsetwinsize(&terminal, size);
            }
        }
        if ready.get(2) == Some(&true) {
            let count = input.as_mut().map_or(Ok(0), |input| input.read(&mut buffer));
            let count = count.unwrap_or(0);
            if count == 0 {
                input = None;
                // The end of what is typed.
                terminal.write_all(&[4]).map_err(failed)?;
                continue;
            }
            match keys.filter(&buffer[..count]) {
                Some(passed) => terminal.write_all(&passed).map_err(failed)?,
                None => return Ok(false),
            }
        }
    }
}

impl Containers {
    /// Attaches to a container that runs.
    ///
    /// # Errors
    /// [`ErrorKind::StateImproper`] where it does not run; [`ErrorKind::Io`].
    pub fn attach(&self, container: &Container) -> Result<Attached> {
        let path = container.place.socket();
        if !container.state.status.is_up() {
            return Err(Error::new(
                ErrorKind::StateImproper,
                "",
                "you can only attach to running containers",
            ));
        }
        if container.passes_through() {
            let words = format!("attaching to container {}", container.id());
            return Err(Error::new(ErrorKind::Unsupported, words, "")
                .with_source(container.no_log("attach")));
        }
        let socket = wire::connect(&path).map_err(|error| {
            Error::new(ErrorKind::Io, path.display(), "attaching").with_source(error)
        })?;
        self.tell("attach", &container.config);
        Ok(Attached { socket, terminal: container.config.process.terminal })
    }
}

impl Attached {
    pub(super) fn new(socket: OwnedFd, terminal: bool) -> Self {
        Self { socket, terminal }
    }

    /// Whether the container has a terminal.
    pub fn has_terminal(&self) -> bool {
        self.terminal
    }

    /// Tells the size of the terminal.
    ///
    /// # Errors
    /// [`ErrorKind::Io`].
    pub fn resize(&self, size: Terminal) -> Result<()> {
        let [r0, r1] = size.rows.to_le_bytes();
        let [c0, c1] = size.columns.to_le_bytes();
        self.send(wire::RESIZE, &[r0, r1, c0, c1])
    }

    fn send(&self, kind: u8, body: &[u8]) -> Result<()> {
        match wire::send(&self.socket, kind, body, true) {
            // What became of it is heard next.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(failed(error)),
            Ok(_) => Ok(()),
        }
    }

    /// Relays until the container has ended, or the keys are typed.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] where output cannot be written, or input not be read.
    pub fn relay(&self, relay: &Relay<'_>) -> Result<RelayEnd> {
        let duplicate = |end: Option<BorrowedFd<'_>>| -> Result<Option<File>> {
            end.map(|end| end.try_clone_to_owned().map(File::from).map_err(failed)).transpose()
        };
        let (mut input, mut orders) = (duplicate(relay.input)?, duplicate(relay.orders)?);
        let (mut output, mut error) = (duplicate(relay.output)?, duplicate(relay.error)?);
        let mut keys = DetachKeys::new(relay.detach_keys.clone());
        loop {
            let ready = self.wait(input.as_ref(), orders.as_ref())?;
            if ready[0] {
                let Some(packet) = wire::receive(&self.socket).map_err(failed)? else {
                    return Ok(RelayEnd::Lost);
                };
                match (packet.kind, &mut output, &mut error) {
                    (wire::OUTPUT, Some(to), _) | (wire::ERROR, _, Some(to)) => {
                        to.write_all(&packet.body).map_err(failed)?;
                    }
                    (wire::ENDED, ..) => {
                        let code = packet.body.try_into().map_or(125, i32::from_le_bytes);
                        return Ok(RelayEnd::Exited(code));
                    }
                    _ => {}
                }
                // Output first: what is typed may wait.
                continue;
            }
            if ready[2] && !self.follow_order(&mut orders, relay)? {
                orders = None;
            }
            if ready[1] && self.pass_input(&mut input, &mut keys)?.is_none() {
                return Ok(RelayEnd::Detached);
            }
        }
    }

    /// What is ready: the socket, the input, the orders.
    fn wait(&self, input: Option<&File>, orders: Option<&File>) -> Result<[bool; 3]> {
        let mut places = vec![PollFd::new(&self.socket, PollFlags::IN)];
        places.extend(
            [input, orders].into_iter().flatten().map(|file| PollFd::new(file, PollFlags::IN)),
        );
        match poll(&mut places, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(failed(error.into())),
        }
        let mut found = places.iter().map(|place| !place.revents().is_empty());
        let mut next = |exists: bool| exists && found.next().unwrap_or(false);
        Ok([next(true), next(input.is_some()), next(orders.is_some())])
    }

    fn follow_order(&self, orders: &mut Option<File>, relay: &Relay<'_>) -> Result<bool> {
        let Some(from) = orders else { return Ok(false) };
        let mut order = [0; 4];
        if from.read_exact(&mut order).is_err() {
            return Ok(false);
        }
        match order[0] {
            b's' => self.send(wire::SIGNAL, &order[1..2])?,
            b'w' => {
                let ends = [relay.output, relay.input].into_iter().flatten();
                let size = ends.filter_map(|end| rustix::termios::tcgetwinsize(end).ok()).next();
                if let Some(size) = size {
                    self.resize(Terminal { rows: size.ws_row, columns: size.ws_col })?;
                }
            }
            _ => {}
        }
        Ok(true)
    }

    /// Passes input on; `None` where the keys were typed.
    fn pass_input(&self, input: &mut Option<File>, keys: &mut DetachKeys) -> Result<Option<()>> {
        let Some(from) = input else { return Ok(Some(())) };
        let mut buffer = [0; 16 << 10];
        let count = match from.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Some(())),
            // A terminal that was taken away has no more to say.
            Err(_) => 0,
        };
        if count == 0 {
            *input = None;
            self.send(wire::INPUT_END, &[])?;
            return Ok(Some(()));
        }
        let Some(passed) = keys.filter(&buffer[..count]) else { return Ok(None) };
        if !passed.is_empty() {
            self.send(wire::INPUT, &passed)?;
        }
        Ok(Some(()))
    }
}

impl AsFd for Attached {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn failed(error: io::Error) -> Error {
    Error::new(ErrorKind::Io, "relaying input and output", "").with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read() {
        let check = |text: &str, expected: Option<&[u8]>| {
            assert_eq!(parse_detach_keys(text).ok().as_deref(), expected, "{text}");
        };
        check("ctrl-p,ctrl-q", Some(&[16, 17]));
        check("a,ctrl-@", Some(b"a\0"));
        check("", Some(b""));
        for wrong in ["ctrl-", "ctrl-A1", "ab", "a,,b"] {
            check(wrong, None);
        }
    }

    #[test]
    fn keys_end_it_and_anything_else_goes_on() {
        let check = |parts: &[&[u8]], expected: Option<&[u8]>| {
            let mut keys = DetachKeys::new(vec![16, 17]);
            let mut passed = Vec::new();
            for part in parts {
                match keys.filter(part) {
                    Some(more) => passed.extend(more),
                    None => return assert_eq!(None, expected, "{parts:?}"),
                }
            }
            assert_eq!(Some(passed.as_slice()), expected, "{parts:?}");
        };
        check(&[b"abc"], Some(b"abc"));
        check(&[b"a\x10", b"\x11"], None);
        check(&[b"a\x10b"], Some(b"a\x10b"));
        check(&[b"\x10\x10\x11"], None);
        check(&[b"\x10\x10b\x11"], Some(b"\x10\x10b\x11"));
    }
}
