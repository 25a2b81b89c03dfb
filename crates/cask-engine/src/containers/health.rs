//! Whether what runs in a container does what it is there for: a command that is run in it says so.
//!
//! ```text
//! GRAPH ROOT/cask/containers/<id>/
//!   health.json   what the last checks said
//!   health        held while one of them is written down
//! ```

mod check;
mod config;
mod watch;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::record::{Place, io, open_lock};
use super::{Container, Containers};
use crate::{Error, ErrorKind, Result};

pub(super) use config::is_command;
pub use config::{
    CheckChange, HealthAction, HealthChange, HealthConfig, HealthLog, HealthLogPlace, StartupCheck,
};
pub(super) use watch::{Watch, tell_monitor};

/// How often, and how long, where nobody says so. Source: podman, `libpod/define/healthchecks.go`.
const USUAL: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(30), 3);
/// Checks that are kept. Source: podman, `DefaultHealthMaxLogCount`.
const MOST_KEPT: u32 = 5;
/// Characters of what a check prints that are kept. Source: podman, `DefaultHealthMaxLogSize`.
const MOST_OUTPUT: u32 = 500;
/// The most that is read of the file, in bytes.
const LONGEST: u64 = 1 << 20;
/// Characters of all that is kept where nobody bounds it: each is six bytes of the file at most.
const MOST_CHARACTERS: usize = 128 << 10;

/// What the last checks of a container said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Health {
    /// `starting`, `healthy`, `unhealthy`, or `stopped` where it ended meanwhile; empty where it was never checked.
    pub status: String,
    /// How many failed in a row.
    pub failing: u32,
    /// The last ones, the oldest first.
    pub log: Vec<HealthResult>,
    /// How the checks of its beginning went.
    startup: Startup,
}

/// How the checks of a container's beginning went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Startup {
    /// It has begun.
    passed: bool,
    succeeded: u32,
    failed: u32,
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

/// What one check says of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HealthVerdict {
    /// It is well.
    Healthy,
    /// It has not begun yet.
    Starting,
    /// It ended meanwhile.
    Stopped,
    /// It is not well.
    Unhealthy,
}

impl HealthVerdict {
    /// Its word.
    ///
    /// Source: podman, `libpod/define/healthchecks.go`, `HealthCheckStatus`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Starting => "starting",
            Self::Stopped => "stopped",
            Self::Unhealthy => "unhealthy",
        }
    }
}

impl HealthResult {
    /// In podman's words.
    fn document(&self) -> serde_json::Value {
        let Self { start, end, exit_code, output } = self;
        serde_json::json!({ "Start": start, "End": end, "ExitCode": exit_code, "Output": output })
    }
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
        written.map_err(|error| io(error, "writing", &path))
    }

    /// Writes it down where somebody wants to read it, in podman's words.
    ///
    /// Source: podman, `libpod/healthcheck.go`, `writeHealthCheckLog`.
    fn publish(&self, container: &Container) -> Result<()> {
        let HealthLogPlace::Directory(directory) = &container.config.health.log.place else {
            return Ok(());
        };
        let path = directory.join(format!("{}-healthcheck.log", container.id()));
        let log: Vec<_> = self.log.iter().map(HealthResult::document).collect();
        let all = serde_json::json!({
            "Status": self.status,
            "FailingStreak": self.failing,
            "Log": log,
        });
        fs::write(&path, all.to_string()).map_err(|error| {
            let doing = "writing the health check log";
            Error::new(ErrorKind::Io, path.display(), doing).with_source(error)
        })
    }

    /// Takes what a check said into account. `starting` is while failures do not count.
    ///
    /// Source: podman, `libpod/healthcheck.go`, `updateHealthCheckLog`.
    fn add(
        &mut self,
        result: HealthResult,
        verdict: HealthVerdict,
        config: &HealthConfig,
        starting: bool,
    ) {
        if verdict == HealthVerdict::Healthy {
            "healthy".clone_into(&mut self.status);
            self.failing = 0;
        } else {
            if self.status.is_empty() {
                "healthy".clone_into(&mut self.status);
            }
            if verdict == HealthVerdict::Stopped {
                "stopped".clone_into(&mut self.status);
            } else if !starting {
                self.failing += 1;
                if self.failing >= config.retries.unwrap_or(USUAL.2) {
                    "unhealthy".clone_into(&mut self.status);
                }
            }
        }
        self.log.push(result);
        let most = match config.log.results() {
            0 => usize::MAX,
            most => usize::try_from(most).unwrap_or(usize::MAX),
        };
        let more = self.log.len().saturating_sub(most);
        self.log.drain(..more);
        // The file is read as a whole.
        let mut room = MOST_CHARACTERS;
        let fit = self.log.iter().rev().take_while(|one| {
            let size = one.output.len() + one.start.len() + one.end.len() + 64;
            room.checked_sub(size).inspect(|left| room = *left).is_some()
        });
        let fit = fit.count().max(1);
        self.log.drain(..self.log.len() - fit);
    }

    /// The last result, in podman's words.
    pub(super) fn last_result(&self) -> String {
        self.log.last().map(|last| last.document().to_string()).unwrap_or_default()
    }

    /// Counts a check of the container's beginning; says whether it shall begin again.
    ///
    /// Source: podman, `libpod/healthcheck.go`, `incrementStartupHCSuccessCounter` and its opposite.
    fn count(&mut self, well: bool, check: &StartupCheck) -> bool {
        let Startup { passed, succeeded, failed } = &mut self.startup;
        if well {
            *succeeded += 1;
            *passed = *succeeded >= check.successes;
            return false;
        }
        *failed += 1;
        check.retries != 0 && *failed >= check.retries
    }
}

/// Forgets what the checks of its last life said.
pub(super) fn reset(place: &Place, config: &HealthConfig) -> Result<()> {
    if !config.is_checked() {
        return Ok(());
    }
    Health { status: "starting".to_owned(), ..Health::default() }.save(place)
}

/// Has what was counted so far be of use with a change, of a container that runs. One that ran without a check of its
/// beginning has begun.
///
/// Source: podman, `libpod/container_internal.go`, `resetHealthCheckTimers`.
pub(super) fn recount(place: &Place, old: &HealthConfig, new: &HealthConfig) -> Result<()> {
    if old.startup == new.startup {
        return Ok(());
    }
    let path = place.kept.join("health");
    let lock = open_lock(&path)?;
    lock.lock().map_err(|error| io(error, "locking", &path))?;
    let mut kept = Health::load(place);
    kept.startup = match &old.startup {
        None => Startup { passed: true, ..Startup::default() },
        Some(_) if kept.startup.passed => return Ok(()),
        Some(_) => Startup::default(),
    };
    kept.save(place)
}

impl Container {
    /// What its last checks said.
    pub fn health(&self) -> Health {
        if self.config.health.is_checked() { Health::load(&self.place) } else { Health::default() }
    }

    /// What is checked of its beginning, as long as it has not begun.
    fn startup_check(&self) -> Option<&StartupCheck> {
        let check = self.config.health.startup.as_ref()?;
        (!Health::load(&self.place).startup.passed).then_some(check)
    }
}

impl Containers {
    /// Checks a container now, writes down what that said, and does what is to be done where it is not healthy any
    /// more.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for one that has no check; [`ErrorKind::StateImproper`] for one that does not run.
    pub fn check_health(&self, container: &Container) -> Result<HealthVerdict> {
        let fresh = self.reload(container)?;
        if !fresh.config.health.is_checked() {
            let words = format!("container {} has no defined healthcheck", fresh.id());
            return Err(Error::new(ErrorKind::Invalid, words, ""));
        }
        if fresh.state.status != super::Status::Running {
            let words = format!("container {} is not running", fresh.id());
            return Err(Error::new(ErrorKind::StateImproper, words, ""));
        }
        let (verdict, action) = self.check_once(&fresh)?;
        match action {
            HealthAction::None => {}
            HealthAction::Kill => self.kill(&fresh, cask_runtime::Signal::KILL)?,
            HealthAction::Stop => drop(self.stop(&fresh, None)?),
            HealthAction::Restart => {
                self.stop(&fresh, None)?;
                self.start(&self.reload(&fresh)?, false, None)?;
            }
        }
        Ok(verdict)
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
        let config = HealthConfig { retries: Some(2), ..HealthConfig::default() };
        let mut health = Health { status: "starting".to_owned(), ..Health::default() };
        let mut check = |code: i32, starting: bool| {
            let verdict = match code {
                0 => HealthVerdict::Healthy,
                _ => HealthVerdict::Unhealthy,
            };
            health.add(result(code), verdict, &config, starting);
            (health.status.clone(), health.failing)
        };
        assert_eq!(check(1, true), ("starting".to_owned(), 0));
        assert_eq!(check(1, false), ("starting".to_owned(), 1));
        assert_eq!(check(-1, false), ("unhealthy".to_owned(), 2));
        assert_eq!(check(0, false), ("healthy".to_owned(), 0));
        (0..9).for_each(|_| drop(check(0, false)));
        assert_eq!(health.log.len(), 5);
        health.add(result(1), HealthVerdict::Stopped, &config, false);
        assert_eq!((health.status.as_str(), health.failing), ("stopped", 0));
    }

    #[test]
    fn what_nobody_bounds_fits_into_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let kept = directory.path().to_owned();
        let place = Place { run: kept.join("run"), kept };
        let log =
            HealthLog { most_results: Some(0), most_characters: Some(0), ..HealthLog::default() };
        let config = HealthConfig { log, ..HealthConfig::default() };
        let mut health = Health::default();
        for _ in 0..40 {
            let mut one = result(0);
            // The worst that a character can take.
            one.output = "\u{1}".repeat(10_000);
            health.add(one, HealthVerdict::Healthy, &config, false);
        }
        assert_eq!(health.log.len(), 13);
        health.save(&place).unwrap();
        assert_eq!(Health::load(&place), health);
    }

    #[test]
    fn a_beginning_is_over_after_so_many_and_begins_again_after_so_many() {
        let check = StartupCheck { successes: 2, retries: 3, ..StartupCheck::default() };
        let mut health = Health::default();
        assert!(!health.count(false, &check) && !health.count(false, &check));
        assert!(health.count(false, &check));
        assert!(!health.count(true, &check) && !health.startup.passed);
        assert!(!health.count(true, &check) && health.startup.passed);
        let mut health = Health::default();
        let any = StartupCheck::default();
        assert!(!health.count(false, &any) && !health.count(true, &any) && health.startup.passed);
    }
}
