//! How the program ends when a container has.

use std::process::ExitCode;

use cask_engine::{Error, ErrorKind};
use cask_program::report;

/// A code of a container as one of this program.
pub(super) fn code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code & 0xff).unwrap_or(255))
}

/// Reports why a container did not start: 127 where its command is not there, 126 where it cannot be executed,
/// 125 otherwise.
pub(super) fn not_started(error: Error) -> ExitCode {
    let code = match error.kind() {
        ErrorKind::CommandNotFound => 127,
        ErrorKind::CommandNotExecutable => 126,
        _ => 125,
    };
    report::engine_failure(&error.into(), crate::run::hint);
    ExitCode::from(code)
}
