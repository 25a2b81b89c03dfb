//! Flags that say how a container is checked.

use std::time::Duration;

use anyhow::{Result, bail};
use cask_engine::{
    CheckChange, ContainerConfig, HealthAction, HealthChange, HealthConfig, HealthLogPlace,
};
use cask_program::duration::GoDuration;
use clap::Args;

/// How it is checked.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "How it is checked")]
pub(in super::super) struct HealthArguments {
    /// Check it with this command of its shell, or a JSON list of words; none is no check
    #[arg(long, alias = "healthcheck-command", value_name = "COMMAND")]
    health_cmd: Option<String>,
    /// The time between two checks, or disable: only healthcheck run checks [default: 30s]
    #[arg(
        long,
        alias = "healthcheck-interval",
        value_name = "DURATION",
        allow_hyphen_values = true
    )]
    health_interval: Option<String>,
    /// How many have to fail in a row [default: 3]
    #[arg(long, alias = "healthcheck-retries", value_name = "N", allow_hyphen_values = true)]
    health_retries: Option<i64>,
    /// How long after the start those that fail do not count [default: 0s]
    #[arg(
        long,
        alias = "healthcheck-start-period",
        value_name = "DURATION",
        allow_hyphen_values = true
    )]
    health_start_period: Option<String>,
    /// How long a check may take [default: 30s]
    #[arg(
        long,
        alias = "healthcheck-timeout",
        value_name = "DURATION",
        allow_hyphen_values = true
    )]
    health_timeout: Option<String>,
    /// What is done where it is not healthy any more: none, kill, restart or stop
    #[arg(long, value_name = "ACTION")]
    health_on_failure: Option<String>,
    /// Where results can be read besides: local, which is nowhere, events_logger, or a directory [default: local]
    #[arg(long, value_name = "PLACE")]
    health_log_destination: Option<String>,
    /// How many results are kept; 0 is as many as fit [default: 5]
    #[arg(long, value_name = "N")]
    health_max_log_count: Option<u32>,
    /// Characters of each result that are kept; 0 is as many as fit [default: 500]
    #[arg(long, value_name = "N")]
    health_max_log_size: Option<u32>,
    /// Check with this command first, until it has begun; the usual check waits for that
    #[arg(long, value_name = "COMMAND")]
    health_startup_cmd: Option<String>,
    /// The time between two checks of its beginning, or disable [default: 30s]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    health_startup_interval: Option<String>,
    /// How many of those have to fail for it to begin again; 0 is never [default: 0]
    #[arg(long, value_name = "N")]
    health_startup_retries: Option<u32>,
    /// How many of those have to be well for it to have begun; 0 is one [default: 0]
    #[arg(long, value_name = "N")]
    health_startup_success: Option<u32>,
    /// How long a check of its beginning may take [default: 30s]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    health_startup_timeout: Option<String>,
    /// Do not check it, whatever the image says
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    no_healthcheck: Option<bool>,
}

impl HealthArguments {
    /// What a new container is made with. The words of what is refused are podman's.
    pub(super) fn resolve(&self, config: &mut ContainerConfig) -> Result<()> {
        let mut change = self.change()?;
        if change.disable {
            for (flag, test) in
                [("health-cmd", &change.regular.test), ("health-startup-cmd", &change.startup.test)]
            {
                if test.is_some() {
                    bail!("cannot specify both --no-healthcheck and --{flag}");
                }
            }
        }
        if change.regular.retries == Some(0) {
            bail!("healthcheck-retries must be greater than 0");
        }
        let health = &mut config.health;
        // Settings without a command are of the image's.
        health.interval = change.regular.interval.take();
        health.timeout = change.regular.timeout.take();
        health.start_period = change.start_period.take();
        health.retries = change.regular.retries.take();
        if change.startup.test.is_none() {
            (change.startup, change.startup_successes) = (CheckChange::default(), None);
        }
        if change.disable {
            (change.startup, change.startup_successes) = (CheckChange::default(), None);
            *health = HealthConfig::default();
        }
        Ok(change.apply(health)?)
    }

    /// What is changed of one that there is.
    pub(in super::super) fn change(&self) -> Result<HealthChange> {
        let mut change = HealthChange::default();
        change.disable = self.no_healthcheck == Some(true);
        let command = self.health_cmd.as_deref().filter(|command| !command.is_empty());
        change.regular.test = command.map(test);
        change.regular.interval = interval("interval", self.health_interval.as_deref())?;
        change.regular.timeout = timeout("timeout", self.health_timeout.as_deref())?;
        change.regular.retries = match self.health_retries {
            Some(count) if count < 0 => bail!("healthcheck-retries must be greater than 0"),
            Some(count) => Some(u32::try_from(count).unwrap_or(u32::MAX)),
            None => None,
        };
        change.start_period = duration("start-period", self.health_start_period.as_deref())?;
        let command = self.health_startup_cmd.as_deref().filter(|command| !command.is_empty());
        change.startup.test = command.map(test);
        change.startup.interval = interval("interval", self.health_startup_interval.as_deref())?;
        change.startup.timeout = timeout("timeout", self.health_startup_timeout.as_deref())?;
        change.startup.retries = self.health_startup_retries;
        change.startup_successes = self.health_startup_success;
        change.on_failure = match self.health_on_failure.as_deref() {
            None => None,
            Some("" | "none") => Some(HealthAction::None),
            Some("kill") => Some(HealthAction::Kill),
            Some("restart") => Some(HealthAction::Restart),
            Some("stop") => Some(HealthAction::Stop),
            Some(other) => bail!(
                "invalid on-failure action {other:?} for health check: supported actions are none,kill,restart,stop"
            ),
        };
        let place = self.health_log_destination.as_deref().map(HealthLogPlace::parse);
        change.log_place = place.transpose()?;
        change.log_results = self.health_max_log_count;
        change.log_characters = self.health_max_log_size;
        Ok(change)
    }
}

fn interval(name: &str, text: Option<&str>) -> Result<Option<Duration>> {
    match text {
        Some("disable") => Ok(Some(Duration::ZERO)),
        other => duration(name, other),
    }
}

fn timeout(name: &str, text: Option<&str>) -> Result<Option<Duration>> {
    let timeout = duration(name, text)?;
    if timeout == Some(Duration::ZERO) {
        bail!("healthcheck-timeout must be at least 1 second");
    }
    Ok(timeout)
}

fn duration(name: &str, text: Option<&str>) -> Result<Option<Duration>> {
    let Some(text) = text else { return Ok(None) };
    if text.starts_with('-') {
        bail!("healthcheck-{name} must be 0 seconds or greater");
    }
    match text.parse() {
        Ok(GoDuration(duration)) => Ok(Some(duration)),
        Err(_) => bail!("invalid healthcheck-{name}: time: invalid duration {text:?}"),
    }
}

/// The words of a check.
///
/// Source: podman, `pkg/specgenutil/specgen.go`, `makeHealthCheckFromCli`.
fn test(command: &str) -> Vec<String> {
    let list: Option<Vec<String>> =
        serde_json::from_str(command).ok().filter(|list: &Vec<String>| !list.is_empty());
    let first = match &list {
        Some(list) => list[0].clone(),
        None => command.split(' ').next().unwrap_or_default().to_owned(),
    };
    let kind = first.to_ascii_uppercase();
    let shell = || "CMD-SHELL".to_owned();
    match (kind.as_str(), list) {
        ("NONE", _) => vec!["NONE".to_owned()],
        ("CMD" | "CMD-SHELL", Some(mut list)) => {
            list[0] = kind;
            list
        }
        ("CMD", None) => command.split_whitespace().map(ToOwned::to_owned).collect(),
        ("CMD-SHELL", None) => vec![kind, command[first.len()..].trim_start().to_owned()],
        (_, Some(mut list)) if list.len() > 1 => {
            list.insert(0, "CMD".to_owned());
            list
        }
        (_, Some(mut list)) => vec![shell(), list.remove(0)],
        (_, None) => vec![shell(), command.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_read_as_podman_reads_them() {
        for (command, expected) in [
            ("echo hi; exit 1", &["CMD-SHELL", "echo hi; exit 1"][..]),
            (r#"["/bin/true","x"]"#, &["CMD", "/bin/true", "x"]),
            (r#"["curl -f x"]"#, &["CMD-SHELL", "curl -f x"]),
            (r#"["CMD-SHELL","a b"]"#, &["CMD-SHELL", "a b"]),
            (r#"["CMD","a","b"]"#, &["CMD", "a", "b"]),
            ("CMD-SHELL a b", &["CMD-SHELL", "a b"]),
            ("CMD a b", &["CMD", "a", "b"]),
            ("none", &["NONE"]),
        ] {
            assert_eq!(test(command), expected, "{command}");
        }
    }
}
