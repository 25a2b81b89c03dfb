//! Errors, warnings and exit codes.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use cask::transport::{Error, ErrorKind};
use cask_terminal::progress::Handle;
use cask_terminal::report::{Exit, Reporter, Style};

/// An error with what the user can do about it.
#[derive(Debug)]
pub struct Hinted {
    /// What went wrong.
    pub message: String,
    /// What to do.
    pub hint: &'static str,
}

impl std::fmt::Display for Hinted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Hinted {}

fn reporter() -> Reporter<std::io::Stderr> {
    let stderr = std::io::stderr();
    let style = if stderr.is_terminal() {
        Style::Terminal { color: std::env::var_os("NO_COLOR").is_none() }
    } else {
        Style::Log
    };
    Reporter::new(style, stderr)
}

/// Reports the error that ends the program, and tells how it ends.
pub fn failure(error: &anyhow::Error) -> Exit {
    failure_with(error, |_| None)
}

/// The same, where the program knows more hints: of errors that only it has.
pub fn failure_with(
    error: &anyhow::Error,
    more: impl for<'e> Fn(&'e (dyn std::error::Error + 'static)) -> Option<&'e str>,
) -> Exit {
    let hints: Vec<&str> =
        error.chain().filter_map(|error| hint(error).or_else(|| more(error))).collect();
    reporter().error(&**error, &hints);
    // What lies beneath may be about something else than the image.
    match error.chain().find_map(|error| error.downcast_ref::<Error>()) {
        Some(error) if error.kind() == ErrorKind::NotFound => Exit::NotFound,
        _ => Exit::Failure,
    }
}

/// Reports the error that ends an engine's command, as podman says it; how the program ends depends
/// on the command.
pub fn engine_failure(
    error: &anyhow::Error,
    more: impl for<'e> Fn(&'e (dyn std::error::Error + 'static)) -> Option<&'e str>,
) {
    let hints: Vec<&str> =
        error.chain().filter_map(|error| hint(error).or_else(|| more(error))).collect();
    Reporter::new(Style::Prefix, std::io::stderr()).error(&**error, &hints);
}

/// An error and what lies beneath, in one line.
pub fn whole(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Reports a message that ends an engine's command: line by line as it is, but for what would move the cursor.
pub fn engine_usage(message: &str) {
    let plain = |c: char| match c {
        '\t' | '\n' => c,
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    say(&format!("Error: {}", message.trim_end().chars().map(plain).collect::<String>()));
}

/// Reports a message that ends the program.
pub fn usage(message: &str, hints: &[&str]) -> Exit {
    reporter().failure(message, hints);
    Exit::Failure
}

/// Tells people something that is neither a warning nor an error.
///
/// Standard error that cannot be written is ignored: there is nobody to tell.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Whether nobody wants to hear of what is no error.
static NO_WARNINGS: AtomicBool = AtomicBool::new(false);

/// Leaves warnings out from now on.
pub fn no_warnings() {
    NO_WARNINGS.store(true, Ordering::Relaxed);
}

/// Warns of something that is no error.
pub fn note(message: &str) {
    if !NO_WARNINGS.load(Ordering::Relaxed) {
        reporter().warning(message);
    }
}

/// Warns between the lines of a progress display.
pub fn warning(progress: &Handle, message: &str) {
    if NO_WARNINGS.load(Ordering::Relaxed) {
        return;
    }
    let mut text = Vec::new();
    Reporter::new(Style::Log, &mut text).warning(message);
    progress.log(&String::from_utf8_lossy(&text));
}

fn hint<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e str> {
    let of_transport = error.downcast_ref::<Error>().and_then(Error::hint);
    of_transport.or_else(|| error.downcast_ref::<Hinted>().map(|hinted| hinted.hint))
}
