//! The terminal of whoever called, and that of a process which this program relays.

use std::io::{IsTerminal as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};

use anyhow::{Context as _, Result};
use rustix::termios::{OptionalActions, Termios};
use tokio::signal::unix::{SignalKind, signal};

/// The terminal passes every key on, until this is dropped.
#[derive(Debug)]
pub struct RawMode(Option<Termios>);

impl RawMode {
    /// Leaves it as it is.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Has the terminal pass every key on; without one nothing happens.
    ///
    /// # Errors
    /// The terminal's.
    pub fn enter() -> Result<Self> {
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

/// The size of the terminal of whoever called: lines, and characters of a line.
pub fn size() -> Option<(u16, u16)> {
    let found = rustix::termios::tcgetwinsize(std::io::stdout())
        .or_else(|_| rustix::termios::tcgetwinsize(std::io::stdin()))
        .ok()?;
    (found.ws_row > 0).then_some((found.ws_row, found.ws_col))
}

/// The signals that are passed on: all that can be, but those that are about this process itself (of a child, of a
/// pipe that nobody reads, of urgent data, of its timers and limits, and those which say that it is broken).
///
/// Source: podman, `pkg/signal`, `CatchAll`; `pkg/domain/infra/abi/terminal/sigproxy_linux.go`.
fn passed_on() -> impl Iterator<Item = i32> {
    const OWN: [i32; 9] = [4, 8, 9, 11, 13, 17, 19, 23, 27];
    // The C library has those in between for itself.
    (1..=31).filter(|number| !OWN.contains(number)).chain(35..=64)
}

/// A pipe with an order for every signal that comes: to pass it on, or to look at the size of the terminal.
///
/// # Errors
/// Those of the pipe and of the signals.
pub fn orders(pass_on: bool, size: bool) -> Result<OwnedFd> {
    let (reader, writer) = std::io::pipe()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let guard = runtime.enter();
    let mut kinds = Vec::new();
    if pass_on {
        for number in passed_on() {
            if size && SignalKind::from_raw(number) == SignalKind::window_change() {
                continue;
            }
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

/// Copies between a terminal of a process, which is ours to relay, and that of whoever called, until its end:
/// `true`; or until the keys are typed: `false`.
///
/// # Errors
/// Those of the terminals.
pub fn relay(terminal: &OwnedFd, input: bool, keys: Vec<u8>) -> Result<bool> {
    let orders = orders(false, true)?;
    let _raw = if input { RawMode::enter()? } else { RawMode::none() };
    let (stdin, stdout) = (std::io::stdin(), std::io::stdout());
    let typed = input.then(|| stdin.as_fd());
    cask_engine::relay_terminal(terminal.as_fd(), typed, stdout.as_fd(), orders.as_fd(), keys)
        .map_err(Into::into)
}
