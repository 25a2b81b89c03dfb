//! How a container is checked, and what that said.

use cask_engine::{Container, HealthConfig};

use super::{Part, fields};

/// How it is checked; what is zero is left out, as podman does.
pub(super) fn check_part(health: &HealthConfig) -> Option<Part> {
    if health.test.is_empty() {
        return None;
    }
    Some(fields! {
        "Test": &health.test,
        "StartPeriod json:,omitempty": health.start_period.unwrap_or_default(),
        "Interval json:,omitempty": health.interval.unwrap_or_default(),
        "Timeout json:,omitempty": health.timeout.unwrap_or_default(),
        "Retries json:,omitempty": health.retries.unwrap_or_default(),
    })
}

/// How its beginning is checked.
pub(super) fn startup_part(health: &HealthConfig) -> Option<Part> {
    let startup = health.startup.as_ref()?;
    Some(fields! {
        "Test": &startup.test,
        "Interval json:,omitempty": startup.interval,
        "Timeout json:,omitempty": startup.timeout,
        "Retries json:,omitempty": startup.retries,
        "Successes json:,omitempty": startup.successes,
    })
}

/// What the last checks said.
pub(super) fn health_part(container: &Container) -> Part {
    let health = container.health();
    let log = health.log.iter().map(|one| {
        fields! {
            "Start": &one.start,
            "End": &one.end,
            "ExitCode": i64::from(one.exit_code),
            "Output": &one.output,
        }
    });
    let log: Vec<Part> = log.collect();
    fields! {
        "Status": health.status,
        "FailingStreak": i64::from(health.failing),
        "Log": Part::list_or_nil(log),
    }
}
