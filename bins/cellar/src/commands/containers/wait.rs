//! `cellar wait`

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use cask_engine::{Container, Status, WaitConditions};
use cask_program::duration::GoDuration;
use cask_program::output;
use clap::Args;

use super::several::{Which, finish};
use crate::context::Context;

/// Wait until containers have ended, and print their exit codes
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The containers: names, IDs, or beginnings of IDs
    containers: Vec<String>,
    /// Wait until it is in one of these states instead: created, running, paused, exited, stopped, removing, healthy, unhealthy …
    #[arg(long, value_name = "STATE", value_delimiter = ',')]
    condition: Vec<String>,
    /// Wait until the first of them has ended, or is as said, and print its code alone
    #[arg(long)]
    exit_first_match: bool,
    /// Do not fail where there is no such container: its code is -1
    #[arg(long)]
    ignore: bool,
    /// How often a state of --condition is looked at, such as 250ms or a number of milliseconds
    #[arg(short, long, value_name = "DURATION", default_value = "250ms")]
    interval: String,
    /// The container that was made last
    #[arg(short, long)]
    latest: bool,
}

/// The longest pause: a state that lasts shorter is not seen.
const MOST_PAUSE: Duration = Duration::from_secs(60);

/// A duration, in milliseconds where it has no unit.
fn interval(text: &str) -> Result<Duration> {
    let text = if text.parse::<u64>().is_ok() { format!("{text}ms") } else { text.to_owned() };
    let GoDuration(duration) =
        text.parse().map_err(|_| anyhow!("time: invalid duration {text:?}"))?;
    Ok(duration.clamp(Duration::from_millis(1), MOST_PAUSE))
}

/// What is waited for.
fn conditions(texts: &[String], pause: Duration) -> Result<WaitConditions> {
    let mut all = WaitConditions::default();
    all.pause = pause;
    all.end = texts.is_empty();
    for text in texts {
        all.states.push(match text.as_str() {
            "exited" | "stopped" => {
                all.end = true;
                continue;
            }
            "created" => Status::Created,
            "initialized" => Status::Initialized,
            // None is ever in it.
            "unknown" => continue,
            "running" => Status::Running,
            "paused" => Status::Paused,
            "removing" => Status::Removing,
            "healthy" | "unhealthy" => {
                all.healths.push(text.clone());
                continue;
            }
            other => bail!("unknown container state: {other}: invalid argument"),
        });
    }
    Ok(all)
}

/// Waits.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let conditions = conditions(&arguments.condition, interval(&arguments.interval)?)?;
    if arguments.containers.is_empty() && !arguments.latest {
        bail!("\"cellar wait\" requires a name, id, or the \"--latest\" flag");
    }
    if !arguments.containers.is_empty() && arguments.latest {
        bail!("--latest and containers cannot be used together");
    }
    let which = Which {
        containers: arguments.containers.clone(),
        latest: arguments.latest,
        ignore: arguments.ignore,
        ..Which::default()
    };
    let containers = context.containers()?;
    let mut errors = Vec::new();
    which.check()?;
    let mut all: Vec<Option<Container>> = Vec::new();
    for which in which.each() {
        all.push(which.find(&containers, &mut errors)?.pop().map(|meant| meant.container));
    }
    if !errors.is_empty() {
        // One that is not there fails before anything is waited for.
        return Ok(finish(errors));
    }
    if arguments.exit_first_match {
        let there: Vec<Container> = all.into_iter().flatten().collect();
        let code = containers.wait_for_first(&there, &conditions)?;
        output::line(&code.unwrap_or(-1).to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    for container in all {
        let code = container.map_or(Ok(-1), |one| containers.wait_for(&one, &conditions));
        match code {
            Ok(code) => output::line(&code.to_string())?,
            Err(error) => errors.push(error.into()),
        }
    }
    Ok(finish(errors))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_milliseconds_where_they_have_no_unit() {
        assert_eq!(interval("10").unwrap(), Duration::from_millis(10));
        assert_eq!(interval("2s").unwrap(), Duration::from_secs(2));
        assert_eq!(interval("x").unwrap_err().to_string(), "time: invalid duration \"x\"");
    }
}
