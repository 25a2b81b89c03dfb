//! How the program ends when a container has.

use std::process::ExitCode;

use cask_engine::{Error, ErrorKind};
use cask_program::report;

/// A code of a container as one of this program.
pub(super) fn code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code & 0xff).unwrap_or(255))
}

/// Reports why a container did not start: 127 where its command is not there, 126 where it cannot be executed or
/// something that it needs cannot be had, 125 where it was asked for what makes no sense.
///
/// Source: podman, `libpod/define/exec_codes.go`, `ExitCode`.
pub(super) fn not_started(error: Error) -> ExitCode {
    let code = match error.kind() {
        ErrorKind::NotStarted => 126,
        kind => of_command(kind),
    };
    failed(error, code)
}

/// The same of a command in a container that runs, where everything else is 125.
pub(super) fn not_executed(error: Error) -> ExitCode {
    let code = of_command(error.kind());
    failed(error, code)
}

fn of_command(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::CommandNotFound => 127,
        ErrorKind::CommandNotExecutable => 126,
        _ => 125,
    }
}

fn failed(error: Error, code: u8) -> ExitCode {
    report::engine_failure(&error.into(), crate::run::hint);
    ExitCode::from(code)
}
