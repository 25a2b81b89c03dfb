//! `cellar logs`

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use cask_engine::{Container, Containers, LogLine, LogOptions, LogStream};
use clap::Args;

use super::several;
use crate::context::Context;
use crate::moment;

/// Print what containers printed
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The containers
    containers: Vec<String>,
    /// The container that was made last
    #[arg(short, long)]
    latest: bool,
    #[command(flatten)]
    how: HowArguments,
}

/// Which lines are printed, and how.
#[derive(Args, Debug)]
pub(crate) struct HowArguments {
    /// Print what each of several printed in a colour of its own
    #[arg(long)]
    color: bool,
    /// Go on with what they print from now on
    #[arg(short, long)]
    follow: bool,
    /// Print the name of the container before each line, and not its ID, where there are several
    #[arg(short, long)]
    names: bool,
    /// Only from this moment on: a time, or how long ago
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Only up to this moment
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Only so many of the last lines; -1 is all
    #[arg(long, value_name = "N", default_value_t = -1, allow_hyphen_values = true)]
    tail: i64,
    /// Print when each line was printed
    #[arg(short, long)]
    timestamps: bool,
}

/// The colours of several containers, one after the other: light grey, red, yellow, blue, magenta, cyan and green.
///
/// Source: podman, `libpod/logs/log.go`, `getColor`.
const COLORS: [u8; 7] = [37, 31, 33, 34, 35, 36, 32];

/// Bytes that are printed at once.
const TOGETHER: usize = 64 << 10;

/// A container whose lines are printed, and what stands around each.
struct Told {
    container: Container,
    before: String,
    after: &'static str,
    timestamps: bool,
}

/// Prints.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let containers = context.containers()?;
    if arguments.containers.is_empty() && !arguments.latest {
        bail!("specify at least one container name or ID to log");
    }
    if arguments.latest && !arguments.containers.is_empty() {
        bail!("--latest and containers cannot be used together");
    }
    let mut found = Vec::new();
    if arguments.latest {
        found.push(several::one(&containers, None, true)?);
    }
    for name in &arguments.containers {
        found.push(containers.find(name)?);
    }
    print(&containers, found, &arguments.how)
}

/// Prints what some containers printed.
pub(super) fn print(
    containers: &Containers,
    found: Vec<Container>,
    arguments: &HowArguments,
) -> Result<ExitCode> {
    let now = moment::now();
    let since = |text: &String| cask_engine::parse_moment(text, now).context("parsing --since");
    let until = |text: &String| moment::end(text).context("parsing --until");
    let mut options = LogOptions::default();
    options.follow = arguments.follow;
    options.tail = usize::try_from(arguments.tail).ok();
    options.since = arguments.since.as_ref().map(since).transpose()?;
    options.until = arguments.until.as_ref().map(until).transpose()?;
    let several = found.len() > 1;
    let told = found.into_iter().enumerate();
    let told: Vec<Told> = told
        .map(|(number, container)| Told::new(container, several.then_some(number), arguments))
        .collect();
    if arguments.follow && several {
        return follow_all(containers, &told, &options);
    }
    for one in &told {
        if !one.tell(containers, &options)? {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Follows several at once, each line whole.
fn follow_all(containers: &Containers, told: &[Told], options: &LogOptions) -> Result<ExitCode> {
    std::thread::scope(|scope| {
        let all: Vec<_> = told
            .iter()
            .map(|one| scope.spawn(move || one.tell(containers, options).map(drop)))
            .collect();
        for one in all {
            match one.join() {
                Ok(ended) => ended?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

impl Told {
    fn new(container: Container, number: Option<usize>, arguments: &HowArguments) -> Self {
        let id = container.id();
        let name = match number {
            // The lines of one are its lines without a word.
            None => String::new(),
            Some(_) if arguments.names => format!("{} ", container.name()),
            Some(_) => format!("{} ", id.get(..12).unwrap_or(id)),
        };
        let (before, after) = match arguments.color {
            true => {
                let color = COLORS[number.unwrap_or(0) % COLORS.len()];
                (format!("\x1b[{color}m{name}"), "\x1b[0m")
            }
            false => (name, ""),
        };
        Self { container, before, after, timestamps: arguments.timestamps }
    }

    /// Prints its lines; `false` where nobody reads any more.
    fn tell(&self, containers: &Containers, options: &LogOptions) -> Result<bool> {
        // Lines that are followed are seen at once; others go together, which takes a fraction of the time.
        let mut stdout: Box<dyn Write> = match options.follow {
            true => Box::new(std::io::stdout()),
            false => Box::new(BufWriter::with_capacity(TOGETHER, std::io::stdout().lock())),
        };
        let mut printed = Ok(());
        containers.logs(&self.container, options, &mut |line| {
            printed = self.print(line, &mut stdout).and_then(|()| match options.follow {
                true => stdout.flush(),
                false => Ok(()),
            });
            Ok(printed.is_ok())
        })?;
        match printed.and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
            other => Ok(other.map(|()| true)?),
        }
    }

    fn print(&self, line: &LogLine, stdout: &mut dyn Write) -> std::io::Result<()> {
        let mut text = Vec::with_capacity(line.text.len() + 64);
        text.extend_from_slice(self.before.as_bytes());
        if self.timestamps {
            text.extend_from_slice(format!("{} ", nanoseconds(&line.time)).as_bytes());
        }
        text.extend_from_slice(&line.text);
        text.extend_from_slice(self.after.as_bytes());
        if line.whole {
            text.push(b'\n');
        }
        match line.stream {
            LogStream::Error => {
                // Both may go to the same place.
                stdout.flush()?;
                std::io::stderr().lock().write_all(&text)
            }
            LogStream::Output => stdout.write_all(&text),
        }
    }
}

/// A time with all nine digits, and `Z` for UTC. Source: podman, `libpod/logs/log.go`, `LogTimeFormat`.
fn nanoseconds(time: &str) -> String {
    let utc = time.strip_suffix("+00:00").or_else(|| time.strip_suffix('Z'));
    let Some(utc) = utc else { return time.to_owned() };
    let (whole, part) = utc.split_once('.').unwrap_or((utc, ""));
    format!("{whole}.{part:0<9}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_nine_digits() {
        for (time, expected) in [
            ("2026-01-01T00:00:00.5+00:00", "2026-01-01T00:00:00.500000000Z"),
            ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000000Z"),
            ("2026-01-01T00:00:00.123456789+01:00", "2026-01-01T00:00:00.123456789+01:00"),
        ] {
            assert_eq!(nanoseconds(time), expected);
        }
    }
}
