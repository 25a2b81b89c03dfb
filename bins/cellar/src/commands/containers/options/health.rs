//! Flags that say how a container is checked.

use std::time::Duration;

use anyhow::{Result, bail};
use cask_engine::{ContainerConfig, HealthAction};
use cask_program::duration::GoDuration;
use clap::Args;

/// How it is checked.
#[derive(Args, Debug)]
#[command(next_help_heading = "How it is checked")]
pub(super) struct HealthArguments {
    /// Check it with this command of its shell, or a JSON list of words; none is no check
    #[arg(long, value_name = "COMMAND")]
    health_cmd: Option<String>,
    /// The time between two checks, or disable: only healthcheck run checks [default: 30s]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    health_interval: Option<String>,
    /// How many have to fail in a row [default: 3]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    health_retries: Option<i64>,
    /// How long after the start those that fail do not count [default: 0s]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    health_start_period: Option<String>,
    /// How long a check may take [default: 30s]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    health_timeout: Option<String>,
    /// What is done where it is not healthy any more: none, kill, restart or stop
    #[arg(long, value_name = "ACTION")]
    health_on_failure: Option<String>,
    /// Do not check it, whatever the image says
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    no_healthcheck: Option<bool>,
}

impl HealthArguments {
    /// The words of what is refused are podman's.
    pub(super) fn resolve(&self, config: &mut ContainerConfig) -> Result<()> {
        let health = &mut config.health;
        let command = self.health_cmd.as_deref().filter(|command| !command.is_empty());
        if self.no_healthcheck == Some(true) {
            if command.is_some() {
                bail!("cannot specify both --no-healthcheck and --health-cmd");
            }
            health.test = vec!["NONE".to_owned()];
            return Ok(());
        }
        health.test = command.map(test).unwrap_or_default();
        health.interval = match self.health_interval.as_deref() {
            Some("disable") => Some(Duration::ZERO),
            other => duration("interval", other)?,
        };
        health.timeout = duration("timeout", self.health_timeout.as_deref())?;
        if health.timeout == Some(Duration::ZERO) {
            bail!("healthcheck-timeout must be at least 1 second");
        }
        health.start_period = duration("start-period", self.health_start_period.as_deref())?;
        health.retries = match self.health_retries {
            Some(count) if count < 1 => bail!("healthcheck-retries must be greater than 0"),
            Some(count) => Some(u32::try_from(count).unwrap_or(u32::MAX)),
            None => None,
        };
        health.on_failure = match self.health_on_failure.as_deref() {
            None | Some("" | "none") => HealthAction::None,
            Some("kill") => HealthAction::Kill,
            Some("restart") => HealthAction::Restart,
            Some("stop") => HealthAction::Stop,
            Some(other) => bail!(
                "invalid on-failure action {other:?} for health check: supported actions are none,kill,restart,stop"
            ),
        };
        Ok(())
    }
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
