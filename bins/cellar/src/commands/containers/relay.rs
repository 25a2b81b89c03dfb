//! The terminal of whoever called, and the container's.

use std::os::fd::AsFd as _;

use anyhow::Result;
use cask_engine::{Attached, DETACH_KEYS, Relay, RelayEnd, Terminal, parse_detach_keys};
pub(super) use cask_program::terminal::relay as copy_terminal;
use cask_program::terminal::{self, RawMode, orders};

/// What is passed on, of what whoever called has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) input: bool,
    pub(super) output: bool,
    pub(super) error: bool,
    /// Signals go to the container.
    pub(super) signals: bool,
}

/// The size of the terminal of whoever called.
pub(super) fn size() -> Option<Terminal> {
    terminal::size().map(|(rows, columns)| Terminal { rows, columns })
}

/// The keys that leave a container: those that were given, or containers.conf's, or the usual ones.
pub(super) fn detach_keys(given: Option<&str>) -> Result<Vec<u8>> {
    if let Some(given) = given {
        return Ok(parse_detach_keys(given)?);
    }
    let conf = &cask_program::containers_conf::load()?.engine;
    Ok(parse_detach_keys(conf.detach_keys.as_deref().unwrap_or(DETACH_KEYS))?)
}

/// Relays until the container has ended, or is left.
pub(super) fn relay(attached: &Attached, ends: Ends, detach_keys: Vec<u8>) -> Result<RelayEnd> {
    let has_terminal = attached.has_terminal();
    let orders = orders(ends.signals, has_terminal)?;
    let _raw = match has_terminal && ends.input {
        true => RawMode::enter()?,
        false => RawMode::none(),
    };
    if has_terminal && let Some(size) = size() {
        attached.resize(size)?;
    }
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let mut relay = Relay::default();
    relay.input = ends.input.then(|| stdin.as_fd());
    relay.output = ends.output.then(|| stdout.as_fd());
    relay.error = ends.error.then(|| stderr.as_fd());
    relay.orders = Some(orders.as_fd());
    if has_terminal {
        relay.detach_keys = detach_keys;
    }
    let end = attached.relay(&relay)?;
    Ok(end)
}
