//! `cellar kill`

use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use cask_runtime::Signal;
use clap::Args;

use super::several::{Filtered, each};
use crate::context::Context;

/// Send a signal to containers
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Filtered,
    /// The signal
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL", allow_hyphen_values = true)]
    signal: String,
}

/// Sends it.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let signal = signal(&arguments.signal)?;
    let which = arguments.which.which();
    each(&which, context, |containers, container| {
        if which.all && !container.state.status.is_up() {
            return Ok(false);
        }
        containers.kill(container, signal)?;
        Ok(true)
    })
}

/// A signal as it is written, with or without a hyphen before it, in podman's words where it is none.
///
/// Source: podman, `pkg/util/utils.go`, `ParseSignal`.
pub(super) fn signal(text: &str) -> Result<Signal> {
    let name = text.strip_prefix('-').unwrap_or(text);
    match name.parse::<i64>() {
        Ok(1..=64) | Err(_) => name.parse().map_err(|_| anyhow!("invalid signal: {name}")),
        Ok(0) => bail!("invalid signal: {name}"),
        Ok(_) => bail!("valid signals are 1 through 64"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_named_and_refused_as_podman_does() {
        let check = |text: &str, expected: Result<i32, &str>| {
            let found = signal(text).map(Signal::number).map_err(|error| error.to_string());
            assert_eq!(found, expected.map_err(ToOwned::to_owned), "{text:?}");
        };
        check("-1", Ok(1));
        check("-SIGUSR1", Ok(10));
        check("usr2", Ok(12));
        check("64", Ok(64));
        check("RTMAX", Ok(64));
        check("0", Err("invalid signal: 0"));
        check("-0", Err("invalid signal: 0"));
        check("-", Err("invalid signal: "));
        check("SIG", Err("invalid signal: SIG"));
        check("-BADSIG", Err("invalid signal: BADSIG"));
        check("65", Err("valid signals are 1 through 64"));
        check("-99999999", Err("valid signals are 1 through 64"));
    }
}
