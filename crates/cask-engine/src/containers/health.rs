//! Whether what runs in a container does what it is there for: a command that is run in it says so.
//!
//! ```text
//! GRAPH ROOT/cask/containers/<id>/
//!   health.json   what the last checks said
//!   health        held while one of them is written down
//! ```

mod check;
mod watch;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use cask_image::Healthcheck;
use serde::{Deserialize, Serialize};

use super::record::Place;
use super::{Container, Containers};
use crate::{Error, ErrorKind, Result};

pub(super) use watch::Watch;

/// How often, and how long, where nobody says so. Source: podman, `libpod/define/healthchecks.go`.
const USUAL: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(30), 3);
/// Checks that are kept. Source: podman, `MaxHealthCheckNumberLogs`.
const MOST_KEPT: usize = 5;
/// The most that is read of the file, in bytes.
const LONGEST: u64 = 1 << 20;

/// How a container is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct HealthConfig {
    /// `CMD` and a command with its arguments, `CMD-SHELL` and a text for a shell, or `NONE`; empty is the image's.
    pub test: Vec<String>,
    /// The time between two checks; `None` is the image's, or half a minute, and zero is that nothing is checked.
    pub interval: Option<Duration>,
    /// How long a check may take; `None` is the image's, or half a minute.
    pub timeout: Option<Duration>,
    /// How long after the start checks that fail do not count.
    pub start_period: Option<Duration>,
    /// How many have to fail in a row; `None` is the image's, or three.
    pub retries: Option<u32>,
    /// What is done then.
    pub on_failure: HealthAction,
}

/// What is done where a container is not healthy any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum HealthAction {
    /// Nothing.
    #[default]
    None,
    /// It is killed; its restart policy may have it begin again.
    Kill,
    /// It is stopped and begins again.
    Restart,
    /// It is stopped.
    Stop,
}

impl HealthAction {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Kill => "kill",
            Self::Restart => "restart",
            Self::Stop => "stop",
        }
    }
}

/// What the last checks of a container said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Health {
    /// `starting`, `healthy` or `unhealthy`; empty where it was never checked.
    pub status: String,
    /// How many failed in a row.
    pub failing: u32,
    /// The last ones, the oldest first.
    pub log: Vec<HealthResult>,
}

/// What one check said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct HealthResult {
    /// When it began, in RFC 3339.
    pub start: String,
    /// When it ended.
    pub end: String,
    /// 0 for one that is well, -1 for one that took too long.
    pub exit_code: i32,
    /// What it printed, or its beginning.
    pub output: String,
}

impl HealthConfig {
    /// Has everything that is not said be as the image says, or as usual.
    pub(super) fn fill(&mut self, image: Option<&Healthcheck>) {
        if let Some(image) = image.filter(|_| self.test.is_empty()) {
            self.test.clone_from(&image.test);
            let given = |duration: Duration| (!duration.is_zero()).then_some(duration);
            self.interval = self.interval.or(given(image.interval));
            self.timeout = self.timeout.or(given(image.timeout));
            self.start_period = self.start_period.or(given(image.start_period));
            self.retries = self.retries.or(Some(image.retries).filter(|count| *count > 0));
        }
        if self.is_checked() {
            self.interval.get_or_insert(USUAL.0);
            self.timeout.get_or_insert(USUAL.1);
            self.start_period.get_or_insert(Duration::ZERO);
            self.retries.get_or_insert(USUAL.2);
        }
    }

    /// Whether there is a command that says.
    pub fn is_checked(&self) -> bool {
        is_command(&self.test)
    }

    /// The words of that command.
    ///
    /// Source: podman, `libpod/healthcheck.go`, `runHealthCheck`.
    fn command(&self) -> Vec<String> {
        match self.test.split_first() {
            Some((kind, words)) if kind == "CMD" => words.to_vec(),
            Some((kind, words)) if kind == "CMD-SHELL" => {
                vec!["/bin/sh".to_owned(), "-c".to_owned(), words.join(" ")]
            }
            Some((kind, _)) if kind == "NONE" => Vec::new(),
            _ => self.test.clone(),
        }
    }
}

/// Whether the words of a check are a command.
pub(super) fn is_command(test: &[String]) -> bool {
    test.first().is_some_and(|first| first != "NONE")
}

/// Refuses an action that nothing leads to.
pub(super) fn check(config: &HealthConfig) -> Result<()> {
    if config.is_checked() || config.on_failure == HealthAction::None {
        return Ok(());
    }
    let action = config.on_failure.as_str();
    let words = format!("cannot set on-failure action to {action} without a health check");
    Err(Error::new(ErrorKind::Invalid, words, ""))
}

impl Health {
    fn path(place: &Place) -> PathBuf {
        place.kept.join("health.json")
    }

    pub(super) fn load(place: &Place) -> Self {
        let path = Self::path(place);
        let fits = fs::metadata(&path).is_ok_and(|found| found.len() <= LONGEST);
        let bytes = if fits { fs::read(&path).unwrap_or_default() } else { Vec::new() };
        // What cannot be read was never checked.
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    fn save(&self, place: &Place) -> Result<()> {
        let path = Self::path(place);
        let new = place.kept.join(format!(".health.json.{}", std::process::id()));
        let bytes = serde_json::to_vec(self).expect("texts and numbers can be written");
        let written = fs::write(&new, bytes).and_then(|()| fs::rename(&new, &path));
        written.map_err(|error| super::record::io(error, "writing", &path))
    }

    /// Takes what a check said into account. `starting` is while failures do not count.
    ///
    /// Source: podman, `libpod/healthcheck.go`, `updateHealthCheckLog`.
    fn add(&mut self, result: HealthResult, retries: u32, starting: bool) {
        if result.exit_code == 0 {
            "healthy".clone_into(&mut self.status);
            self.failing = 0;
        } else {
            if self.status.is_empty() {
                "healthy".clone_into(&mut self.status);
            }
            if !starting {
                self.failing += 1;
                if self.failing >= retries {
                    "unhealthy".clone_into(&mut self.status);
                }
            }
        }
        self.log.push(result);
        let more = self.log.len().saturating_sub(MOST_KEPT);
        self.log.drain(..more);
    }
}

impl Container {
    /// What its last checks said.
    pub fn health(&self) -> Health {
        if self.config.health.is_checked() { Health::load(&self.place) } else { Health::default() }
    }

    /// Forgets what the checks of its last life said.
    pub(super) fn reset_health(&self) -> Result<()> {
        if !self.config.health.is_checked() {
            return Ok(());
        }
        Health { status: "starting".to_owned(), ..Health::default() }.save(&self.place)
    }
}

impl Containers {
    /// Checks a container now, writes down what that said, and does what is to be done where it is not healthy any
    /// more. `true` where this check was well.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for one that has no check; [`ErrorKind::StateImproper`] for one that does not run.
    pub fn check_health(&self, container: &Container) -> Result<bool> {
        let fresh = self.reload(container)?;
        if !fresh.config.health.is_checked() {
            let words = format!("container {} has no defined healthcheck", fresh.id());
            return Err(Error::new(ErrorKind::Invalid, words, ""));
        }
        if fresh.state.status != super::Status::Running {
            let words = format!("container {} is not running", fresh.id());
            return Err(Error::new(ErrorKind::StateImproper, words, ""));
        }
        let (well, action) = self.check_once(&fresh)?;
        match action {
            HealthAction::None => {}
            HealthAction::Kill => self.kill(&fresh, cask_runtime::Signal::KILL)?,
            HealthAction::Stop => drop(self.stop(&fresh, None)?),
            HealthAction::Restart => {
                self.stop(&fresh, None)?;
                self.start(&self.reload(&fresh)?, false, None)?;
            }
        }
        Ok(well)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(exit_code: i32) -> HealthResult {
        HealthResult { exit_code, ..HealthResult::default() }
    }

    #[test]
    fn failures_in_a_row_are_counted_and_few_are_kept() {
        let mut health = Health { status: "starting".to_owned(), ..Health::default() };
        health.add(result(1), 2, true);
        assert_eq!((health.status.as_str(), health.failing), ("starting", 0));
        health.add(result(1), 2, false);
        assert_eq!((health.status.as_str(), health.failing), ("starting", 1));
        health.add(result(-1), 2, false);
        assert_eq!((health.status.as_str(), health.failing), ("unhealthy", 2));
        health.add(result(0), 2, false);
        assert_eq!((health.status.as_str(), health.failing), ("healthy", 0));
        (0..9).for_each(|_| health.add(result(0), 2, false));
        assert_eq!(health.log.len(), MOST_KEPT);
    }

    #[test]
    fn what_is_not_said_is_the_images_or_usual() {
        let image = Healthcheck {
            test: vec!["CMD-SHELL".to_owned(), "a b".to_owned()],
            retries: 7,
            ..Healthcheck::default()
        };
        let mut config = HealthConfig::default();
        config.fill(Some(&image));
        assert_eq!(config.command(), ["/bin/sh", "-c", "a b"]);
        assert_eq!((config.retries, config.interval), (Some(7), Some(USUAL.0)));
        let mut own = HealthConfig { test: vec!["NONE".to_owned()], ..HealthConfig::default() };
        own.fill(Some(&image));
        assert!(!own.is_checked() && own.interval.is_none());
        let mut none = HealthConfig::default();
        none.fill(None);
        assert_eq!(none, HealthConfig::default());
    }
}
