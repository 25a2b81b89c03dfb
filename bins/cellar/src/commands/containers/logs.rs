//! `cellar logs`

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Result, bail};
use cask_engine::{Container, LogLine, LogOptions, LogStream};
use clap::Args;

use super::several;
use crate::context::Context;
use crate::moment;

/// Print what containers printed
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The containers
    containers: Vec<String>,
    /// Go on with what they print from now on
    #[arg(short, long)]
    follow: bool,
    /// The container that was made last
    #[arg(short, long)]
    latest: bool,
    /// Print the name of the container before each line
    #[arg(short, long)]
    names: bool,
    /// Only from this moment on: a time, or how long ago
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only up to this moment
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only so many of the last lines; -1 is all
    #[arg(long, value_name = "N", default_value_t = -1, allow_hyphen_values = true)]
    tail: i64,
    /// Print when each line was printed
    #[arg(short, long)]
    timestamps: bool,
}

/// Prints.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let containers = context.containers()?;
    if arguments.containers.is_empty() && !arguments.latest {
        bail!("specify at least one container name or ID to log");
    }
    if arguments.follow && arguments.containers.len() > 1 {
        bail!("only one container can be followed at a time");
    }
    let now = moment::now();
    let mut options = LogOptions::default();
    options.follow = arguments.follow;
    options.tail = usize::try_from(arguments.tail).ok();
    options.since =
        arguments.since.as_deref().map(|text| cask_engine::parse_moment(text, now)).transpose()?;
    options.until =
        arguments.until.as_deref().map(|text| cask_engine::parse_moment(text, now)).transpose()?;
    let mut found = Vec::new();
    if arguments.latest {
        found.push(several::one(&containers, None, true)?);
    }
    for name in &arguments.containers {
        found.push(containers.find(name)?);
    }
    for container in &found {
        let mut broken = None;
        containers.logs(
            container,
            &options,
            &mut |line| match print(line, container, arguments) {
                Ok(()) => Ok(true),
                Err(error) => {
                    broken = Some(error);
                    Ok(false)
                }
            },
        )?;
        match broken {
            // Nobody reads any more.
            Some(error) if error.kind() == std::io::ErrorKind::BrokenPipe => break,
            Some(error) => return Err(error.into()),
            None => {}
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(line: &LogLine, container: &Container, arguments: &Arguments) -> std::io::Result<()> {
    let mut text = Vec::with_capacity(line.text.len() + 64);
    if arguments.names {
        text.extend_from_slice(format!("{} ", container.name()).as_bytes());
    }
    if arguments.timestamps {
        text.extend_from_slice(format!("{} ", line.time).as_bytes());
    }
    text.extend_from_slice(&line.text);
    if line.whole {
        text.push(b'\n');
    }
    match line.stream {
        LogStream::Error => std::io::stderr().lock().write_all(&text),
        LogStream::Output => {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(&text)?;
            if arguments.follow { stdout.flush() } else { Ok(()) }
        }
    }
}
