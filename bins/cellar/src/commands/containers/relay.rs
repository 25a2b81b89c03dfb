//! The terminal of whoever called, and the container's.

use std::io::{IsTerminal as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use anyhow::{Context as _, Result};
use cask_engine::{Attached, Relay, RelayEnd, Terminal};
use rustix::termios::{OptionalActions, Termios};
use tokio::signal::unix::{SignalKind, signal};

/// What is passed on, of what whoever called has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) input: bool,
    pub(super) output: bool,
    pub(super) error: bool,
    /// Signals go to the container.
    pub(super) signals: bool,
}

/// The terminal passes every key on, until this is dropped.
pub(super) struct RawMode(Option<Termios>);

impl RawMode {
    pub(super) fn enter() -> Result<Self> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return Ok(Self(None));
        }
        let before = rustix::termios::tcgetattr(&stdin).context("asking the terminal how it is")?;
        let mut raw = before.clone();
        raw.make_raw();
        rustix::termios::tcsetattr(&stdin, OptionalActions::Now, &raw)
            .context("having the terminal pass every key on")?;
        Ok(Self(Some(before)))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = rustix::termios::tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// The size of the terminal of whoever called.
pub(super) fn size() -> Option<Terminal> {
    let found = rustix::termios::tcgetwinsize(std::io::stdout())
        .or_else(|_| rustix::termios::tcgetwinsize(std::io::stdin()))
        .ok()?;
    (found.ws_row > 0).then_some(Terminal { rows: found.ws_row, columns: found.ws_col })
}

/// Relays until the container has ended, or is left.
pub(super) fn relay(attached: &Attached, ends: Ends, detach_keys: Vec<u8>) -> Result<RelayEnd> {
    let terminal = attached.has_terminal();
    let orders = orders(ends.signals && !terminal, terminal)?;
    let _raw = match terminal && ends.input {
        true => RawMode::enter()?,
        false => RawMode(None),
    };
    if terminal && let Some(size) = size() {
        attached.resize(size)?;
    }
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let mut relay = Relay::default();
    relay.input = ends.input.then(|| stdin.as_fd());
    relay.output = ends.output.then(|| stdout.as_fd());
    relay.error = ends.error.then(|| stderr.as_fd());
    relay.orders = Some(orders.as_fd());
    if terminal {
        relay.detach_keys = detach_keys;
    }
    let end = attached.relay(&relay)?;
    Ok(end)
}

/// A pipe with an order for every signal that comes: to pass it on, or to look at the size of the terminal.
pub(super) fn orders(pass_on: bool, size: bool) -> Result<OwnedFd> {
    let (reader, writer) = std::io::pipe()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let guard = runtime.enter();
    let mut kinds = Vec::new();
    if pass_on {
        for number in [1, 2, 3, 10, 12, 14, 15, 18] {
            kinds.push((SignalKind::from_raw(number), [b's', u8::try_from(number)?, 0, 0]));
        }
    }
    if size {
        kinds.push((SignalKind::window_change(), *b"w\0\0\0"));
    }
    let mut sources = Vec::new();
    for (kind, order) in kinds {
        sources.push((signal(kind)?, order, writer.try_clone()?));
    }
    drop(guard);
    std::thread::spawn(move || {
        runtime.block_on(async move {
            let mut tasks = tokio::task::JoinSet::new();
            for (mut source, order, mut writer) in sources {
                tasks.spawn(async move {
                    while source.recv().await.is_some() {
                        if writer.write_all(&order).is_err() {
                            return;
                        }
                    }
                });
            }
            while tasks.join_next().await.is_some() {}
            // Held until here: its end would be one of the orders.
            drop(writer);
            std::future::pending::<()>().await;
        });
    });
    Ok(reader.into())
}

/// Copies between a terminal of a container, which is ours to relay, and that of whoever called.
pub(super) fn copy_terminal(terminal: &OwnedFd, input: bool, keys: Vec<u8>) -> Result<bool> {
    let orders = orders(false, true)?;
    let _raw = if input { RawMode::enter()? } else { RawMode(None) };
    cask_engine::relay_terminal(
        terminal.as_fd(),
        input.then(std::io::stdin).as_ref().map(|stdin| stdin.as_fd()),
        borrowed(&std::io::stdout()),
        orders.as_fd(),
        keys,
    )
    .map_err(Into::into)
}

fn borrowed(stdout: &std::io::Stdout) -> BorrowedFd<'_> {
    stdout.as_fd()
}
