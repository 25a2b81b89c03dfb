//! What `--debug` and `--log-level` show.
//!
//! The libraries report what they do through `tracing`. Until [`init`] is called, nobody listens
//! and it costs next to nothing.

use std::fmt::Write as _;
use std::time::SystemTime;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use crate::progress::Handle;
use crate::report::log_line;

/// The least important that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Level {
    /// Only what goes wrong.
    Error,
    /// Also what may surprise: the default of the programs.
    Warning,
    /// Also what is done.
    Info,
    /// Also how: `--debug`.
    Debug,
    /// Everything.
    Trace,
}

/// A text that names no [`Level`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownLevel(
    /// The text.
    pub String,
);

impl std::fmt::Display for UnknownLevel {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "log level {} is not supported, choose from: trace, debug, info, warn, warning, \
             error, fatal, panic",
            crate::go::quote_text(&self.0)
        )
    }
}

impl std::error::Error for UnknownLevel {}

impl std::str::FromStr for Level {
    type Err = UnknownLevel;

    /// Takes the names that podman's `--log-level` takes, in any case; the two that are worse than
    /// an error show errors.
    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        match text.to_ascii_lowercase().as_str() {
            "trace" => Ok(Self::Trace),
            "debug" => Ok(Self::Debug),
            "info" => Ok(Self::Info),
            "warn" | "warning" => Ok(Self::Warning),
            "error" | "fatal" | "panic" => Ok(Self::Error),
            _ => Err(UnknownLevel(text.to_owned())),
        }
    }
}

impl Level {
    /// As logrus has it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    fn of(level: tracing::Level) -> Self {
        match level {
            tracing::Level::ERROR => Self::Error,
            tracing::Level::WARN => Self::Warning,
            tracing::Level::INFO => Self::Info,
            tracing::Level::DEBUG => Self::Debug,
            tracing::Level::TRACE => Self::Trace,
        }
    }
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::ERROR,
            Level::Warning => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
            Level::Trace => Self::TRACE,
        }
    }
}

/// Starts to show what the libraries report, as logrus lines between the bars of a progress
/// display. Only the first call in a process has an effect; the answer says whether this was it.
pub fn init(level: Level, progress: Handle) -> bool {
    tracing::subscriber::set_global_default(subscriber(level, progress)).is_ok()
}

fn subscriber(level: Level, progress: Handle) -> impl tracing::Subscriber + Send + Sync {
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::from(level))
        .event_format(LogrusLine)
        .with_writer(Lines(progress))
        .finish()
}

/// Formats an event as logrus would.
struct LogrusLine;

impl<S, N> FormatEvent<S, N> for LogrusLine
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> std::fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = Level::of(*event.metadata().level());
        let others: Vec<(&str, String)> = fields.others;
        let line = log_line(SystemTime::now(), level.word(), &fields.message, &others);
        crate::syslog::send(level, &line);
        writeln!(writer, "{line}")
    }
}

/// The message of an event and its other fields.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, String)>,
}

impl tracing::field::Visit for Fields {
    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        } else {
            self.others.push((field.name(), format!("{value:?}")));
        }
    }
}

/// Writes whole lines to a progress display.
struct Lines(Handle);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

struct Line<'a>(&'a Handle);

impl std::io::Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // The formatter hands over each line in one piece.
        self.0.log(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::progress::{Mode, Progress};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn events_become_logrus_lines() {
        let out = Shared::default();
        let progress = Progress::to_writer(Mode::Plain, out.clone());
        let subscriber = subscriber(Level::Debug, progress.handle());
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!(url = "https://a/b?c", count = 3, "request \"x\"");
            tracing::warn!("careful");
            tracing::trace!("too much");
        });
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        let untimed: Vec<&str> =
            text.lines().map(|line| line.split_once(" level=").unwrap().1).collect();
        let first = r#"debug msg="request \"x\"" url="https://a/b?c" count=3"#;
        assert_eq!(untimed, [first, "warning msg=careful"]);
    }

    #[test]
    fn levels_are_named_as_podman_names_them() {
        let check = |text: &str, expected: Level| assert_eq!(text.parse(), Ok(expected));
        check("debug", Level::Debug);
        check("WARN", Level::Warning);
        check("panic", Level::Error);
        let error = "loud".parse::<Level>().unwrap_err().to_string();
        assert!(error.starts_with(r#"log level "loud" is not supported, choose from: trace"#));
    }
}
