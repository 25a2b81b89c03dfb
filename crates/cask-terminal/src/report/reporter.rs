//! Writing errors and warnings.

use std::collections::HashSet;
use std::error::Error;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::chain::error_text;
use super::logrus::log_line;
use crate::logging::Level;
use crate::progress::sanitized;

/// The shape of errors and warnings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Style {
    /// `time="…" level=fatal msg="…"`, as skopeo logs where there is no terminal.
    Log,
    /// `Error: …`, as podman and buildah say it; warnings as in a log.
    Prefix,
    /// `error: …` and `warning: …`, for people.
    Terminal {
        /// Whether the first word is coloured.
        color: bool,
    },
}

/// Writes errors, warnings and hints, each in one write.
///
/// Text that is not quoted anyway has its control characters replaced: much of it comes from
/// registries and archives. A writer that fails is ignored, there being nobody to tell.
pub struct Reporter<W> {
    style: Style,
    clock: fn() -> SystemTime,
    state: Mutex<State<W>>,
}

struct State<W> {
    writer: W,
    warnings: HashSet<String>,
}

/// So many warnings are remembered, so that no stream of them fills the memory.
const REMEMBERED: usize = 10_000;

impl<W: Write> Reporter<W> {
    /// Writes to `writer`, which is standard error.
    pub fn new(style: Style, writer: W) -> Self {
        Self::with_clock(style, writer, SystemTime::now)
    }

    /// The same, with the time of log lines from elsewhere.
    pub fn with_clock(style: Style, writer: W, clock: fn() -> SystemTime) -> Self {
        let state = State { writer, warnings: HashSet::new() };
        Self { style, clock, state: Mutex::new(state) }
    }

    /// Reports the error that ends the program, and what to do about it.
    pub fn error(&self, error: &dyn Error, hints: &[&str]) {
        self.failure(&error_text(error), hints);
    }

    /// Reports that the program ends for a reason that is no [`Error`].
    pub fn failure(&self, message: &str, hints: &[&str]) {
        let mut text = match self.style {
            Style::Log => self.logged("fatal", message),
            Style::Prefix => format!("Error: {}\n", lines(message)),
            Style::Terminal { color } => labelled("error", "31", color, message),
        };
        // Causes repeat the hints of what lies beneath.
        let mut said = HashSet::new();
        for hint in hints.iter().filter(|hint| said.insert(**hint)) {
            text.push_str(&self.hint(hint));
        }
        self.write(&text);
        crate::syslog::tell(Level::Error, message);
    }

    /// Warns, unless the same was said before.
    pub fn warning(&self, message: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.warnings.contains(message) {
            return;
        }
        if state.warnings.len() < REMEMBERED {
            state.warnings.insert(message.to_owned());
        }
        drop(state);
        self.write(&match self.style {
            Style::Log | Style::Prefix => self.logged("warning", message),
            Style::Terminal { color } => labelled("warning", "33", color, message),
        });
        crate::syslog::tell(Level::Warning, message);
    }

    fn logged(&self, level: &str, message: &str) -> String {
        log_line((self.clock)(), level, message, &[]) + "\n"
    }

    fn hint(&self, hint: &str) -> String {
        match self.style {
            Style::Terminal { color } => labelled("hint", "36", color, hint),
            Style::Log | Style::Prefix => labelled("hint", "", false, hint),
        }
    }

    fn write(&self, text: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = state.writer.write_all(text.as_bytes()).and_then(|()| state.writer.flush());
    }
}

impl<W> std::fmt::Debug for Reporter<W> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Reporter").field("style", &self.style).finish_non_exhaustive()
    }
}

/// `error: …`, its label in bold and a colour. Later lines are indented, so that they cannot pass
/// for messages of their own.
fn labelled(label: &str, color: &str, colored: bool, message: &str) -> String {
    let message = lines(message);
    if colored {
        format!("\x1b[1;{color}m{label}:\x1b[0m {message}\n")
    } else {
        format!("{label}: {message}\n")
    }
}

fn lines(message: &str) -> String {
    let lines: Vec<String> = message.trim_end().lines().map(sanitized).collect();
    lines.join("\n  ")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn clock() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_767_366_245)
    }

    fn check(style: Style, report: impl Fn(&Reporter<&mut Vec<u8>>), expected: &str) {
        let mut out = Vec::new();
        report(&Reporter::with_clock(style, &mut out, clock));
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    const TERMINAL: Style = Style::Terminal { color: false };

    #[test]
    fn errors_take_the_shape_of_their_style() {
        let error = std::io::Error::other("reading \"a\": no such file");
        let report = |reporter: &Reporter<&mut Vec<u8>>| {
            reporter.error(&error, &["check the name", "or create it", "check the name"]);
        };
        let hints = "hint: check the name\nhint: or create it\n";
        let log = r#"time="2026-01-02T15:04:05Z" level=fatal msg="reading \"a\": no such file""#;
        check(Style::Log, report, &format!("{log}\n{hints}"));
        check(Style::Prefix, report, &format!("Error: reading \"a\": no such file\n{hints}"));
        check(TERMINAL, report, &format!("error: reading \"a\": no such file\n{hints}"));
        let report = |reporter: &Reporter<&mut Vec<u8>>| reporter.failure("x", &["y"]);
        check(
            Style::Terminal { color: true },
            report,
            "\x1b[1;31merror:\x1b[0m x\n\x1b[1;36mhint:\x1b[0m y\n",
        );
    }

    #[test]
    fn a_warning_is_given_once() {
        let report = |reporter: &Reporter<&mut Vec<u8>>| {
            reporter.warning("a b");
            reporter.warning("c");
            reporter.warning("a b");
        };
        check(TERMINAL, report, "warning: a b\nwarning: c\n");
        let log = "time=\"2026-01-02T15:04:05Z\" level=warning msg=";
        check(Style::Log, report, &format!("{log}\"a b\"\n{log}c\n"));
        check(Style::Prefix, report, &format!("{log}\"a b\"\n{log}c\n"));
    }

    #[test]
    fn nothing_can_forge_a_line_or_steer_the_terminal() {
        let report = |reporter: &Reporter<&mut Vec<u8>>| {
            reporter.failure("a\x1b[2J\rb\nerror: forged\n", &["c\nhint: forged"]);
        };
        check(TERMINAL, report, "error: a?[2J?b\n  error: forged\nhint: c\n  hint: forged\n");
        check(
            Style::Log,
            report,
            "time=\"2026-01-02T15:04:05Z\" level=fatal \
             msg=\"a\\x1b[2J\\rb\\nerror: forged\\n\"\nhint: c\n  hint: forged\n",
        );
    }
}
