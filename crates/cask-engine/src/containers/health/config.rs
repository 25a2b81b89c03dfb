//! How a container is checked, and how that is changed.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use cask_image::Healthcheck;
use serde::{Deserialize, Serialize};

use super::USUAL;
use crate::{Error, ErrorKind, Result};

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
    /// What is checked until it has begun, instead; `None` is nothing.
    pub startup: Option<StartupCheck>,
    /// What is kept of the results.
    pub log: HealthLog,
}

/// What is checked until a container has begun: until then its usual check waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct StartupCheck {
    /// As [`HealthConfig::test`].
    pub test: Vec<String>,
    /// The time between two checks; zero is that nothing is checked.
    pub interval: Duration,
    /// How long a check may take.
    pub timeout: Duration,
    /// How many have to fail for the container to be stopped and begin again; 0 is that it never is.
    pub retries: u32,
    /// How many have to be well; 0 is one.
    pub successes: u32,
}

impl Default for StartupCheck {
    fn default() -> Self {
        let (interval, timeout, _) = USUAL;
        Self { test: Vec::new(), interval, timeout, retries: 0, successes: 0 }
    }
}

/// What is kept of the results of checks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct HealthLog {
    /// Where they can be read, besides with the container.
    pub place: HealthLogPlace,
    /// How many are kept; `None` is five, and 0 as many as fit.
    pub most_results: Option<u32>,
    /// Characters of what one printed that are kept; `None` is 500, and 0 as many as fit.
    pub most_characters: Option<u32>,
}

/// Where results of checks can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum HealthLogPlace {
    /// With the container alone.
    #[default]
    Local,
    /// In the events too.
    Events,
    /// In this directory too, in a file called `<id>-healthcheck.log`.
    Directory(PathBuf),
}

impl HealthLogPlace {
    /// Reads `local`, `events_logger` or the path of a directory.
    ///
    /// Source: podman, `libpod/define/healthchecks.go`, `GetValidHealthCheckDestination`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for what is no directory.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "" | "local" => return Ok(Self::Local),
            "events_logger" => return Ok(Self::Events),
            _ => {}
        }
        let found = std::fs::metadata(text).map_err(|error| {
            let words = format!("HealthCheck Log '{text}' destination error");
            Error::new(ErrorKind::Invalid, words, "").with_source(error)
        })?;
        if !found.is_dir() {
            let words = format!("HealthCheck Log '{text}' destination must be directory");
            return Err(Error::new(ErrorKind::Invalid, words, ""));
        }
        let path = std::path::absolute(text)
            .map_err(|error| Error::new(ErrorKind::Io, text, "finding").with_source(error))?;
        Ok(Self::Directory(path))
    }
}

impl fmt::Display for HealthLogPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Events => f.write_str("events_logger"),
            Self::Directory(path) => fmt::Display::fmt(&path.display(), f),
        }
    }
}

impl HealthLog {
    /// How many results are kept, where that is bounded.
    pub fn results(&self) -> u32 {
        self.most_results.unwrap_or(super::MOST_KEPT)
    }

    /// How many characters of each are kept, where that is bounded.
    pub fn characters(&self) -> u32 {
        self.most_characters.unwrap_or(super::MOST_OUTPUT)
    }
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

impl HealthConfig {
    /// Has everything that is not said be as the image says, or as usual.
    pub(in super::super) fn fill(&mut self, image: Option<&Healthcheck>) {
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

    /// Refuses what nothing leads to. The words are podman's.
    pub(in super::super) fn check(&self) -> Result<()> {
        let invalid = |words: String| Err(Error::new(ErrorKind::Invalid, words, ""));
        if self.on_failure != HealthAction::None && !self.is_checked() {
            let action = self.on_failure.as_str();
            return invalid(format!(
                "cannot set on-failure action to {action} without a health check"
            ));
        }
        if self.startup.is_some() && !self.is_checked() {
            return invalid(
                "cannot set a startup healthcheck when there is no regular healthcheck".to_owned(),
            );
        }
        Ok(())
    }
}

/// Whether the words of a check are a command.
pub(in super::super) fn is_command(test: &[String]) -> bool {
    test.first().is_some_and(|first| first != "NONE")
}

/// The command that the words of a check are.
///
/// Source: podman, `libpod/healthcheck.go`, `runHealthCheck`.
pub(super) fn command(test: &[String]) -> Vec<String> {
    match test.split_first() {
        Some((kind, words)) if kind == "CMD" => words.to_vec(),
        Some((kind, words)) if kind == "CMD-SHELL" => {
            vec!["/bin/sh".to_owned(), "-c".to_owned(), words.join(" ")]
        }
        Some((kind, _)) if kind == "NONE" => Vec::new(),
        _ => test.to_vec(),
    }
}

/// What is changed of how a container is checked. What is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthChange {
    /// It is not checked any more.
    pub disable: bool,
    /// The check itself.
    pub regular: CheckChange,
    /// How long after the start checks that fail do not count.
    pub start_period: Option<Duration>,
    /// What is checked until it has begun.
    pub startup: CheckChange,
    /// How many of those have to be well.
    pub startup_successes: Option<u32>,
    /// What is done where it is not healthy any more.
    pub on_failure: Option<HealthAction>,
    /// Where results can be read.
    pub log_place: Option<HealthLogPlace>,
    /// How many results are kept.
    pub log_results: Option<u32>,
    /// Characters of each that are kept.
    pub log_characters: Option<u32>,
}

/// What is changed of one of both checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckChange {
    /// As [`HealthConfig::test`].
    pub test: Option<Vec<String>>,
    /// The time between two of them.
    pub interval: Option<Duration>,
    /// How long each may take.
    pub timeout: Option<Duration>,
    /// How many have to fail.
    pub retries: Option<u32>,
}

impl CheckChange {
    fn is_any(&self) -> bool {
        *self != Self::default()
    }
}

impl HealthChange {
    /// Whether it says anything.
    pub fn is_any(&self) -> bool {
        *self != Self::default()
    }

    /// Changes it.
    ///
    /// Source: podman, `libpod/healthcheck_config.go`, `GetNewHealthCheckConfig`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for what contradicts itself, or where there is no check of which something is changed.
    pub fn apply(&self, health: &mut HealthConfig) -> Result<()> {
        let invalid = |words: &str| Err(Error::new(ErrorKind::Invalid, words, ""));
        let of_regular = self.regular.is_any() || self.start_period.is_some();
        let of_startup = self.startup.is_any() || self.startup_successes.is_some();
        if self.disable && (of_regular || of_startup) {
            return invalid("cannot specify both --no-healthcheck and other HealthCheck flags");
        }
        if of_regular && health.test.is_empty() && self.regular.test.is_none() {
            return invalid("healthcheck command is not set");
        }
        if of_startup && health.startup.is_none() && self.startup.test.is_none() {
            return invalid("startup healthcheck command is not set");
        }
        if self.disable {
            let log = std::mem::take(&mut health.log);
            *health = HealthConfig { log, ..HealthConfig::default() };
            health.test = vec!["NONE".to_owned()];
        }
        set(&mut health.test, self.regular.test.as_ref());
        health.interval = self.regular.interval.or(health.interval);
        health.timeout = self.regular.timeout.or(health.timeout);
        health.start_period = self.start_period.or(health.start_period);
        health.retries = self.regular.retries.or(health.retries);
        health.on_failure = self.on_failure.unwrap_or(health.on_failure);
        if of_startup {
            let startup = health.startup.get_or_insert_default();
            set(&mut startup.test, self.startup.test.as_ref());
            set(&mut startup.interval, self.startup.interval.as_ref());
            set(&mut startup.timeout, self.startup.timeout.as_ref());
            set(&mut startup.retries, self.startup.retries.as_ref());
            set(&mut startup.successes, self.startup_successes.as_ref());
            // `none` takes it away.
            if !is_command(&startup.test) {
                health.startup = None;
            }
        }
        set(&mut health.log.place, self.log_place.as_ref());
        health.log.most_results = self.log_results.or(health.log.most_results);
        health.log.most_characters = self.log_characters.or(health.log.most_characters);
        Ok(())
    }
}

fn set<T: Clone>(to: &mut T, new: Option<&T>) {
    if let Some(new) = new {
        to.clone_from(new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_not_said_is_the_images_or_usual() {
        let image = Healthcheck {
            test: words(&["CMD-SHELL", "a b"]),
            retries: 7,
            ..Healthcheck::default()
        };
        let mut config = HealthConfig::default();
        config.fill(Some(&image));
        assert_eq!(command(&config.test), ["/bin/sh", "-c", "a b"]);
        assert_eq!((config.retries, config.interval), (Some(7), Some(USUAL.0)));
        let mut own = HealthConfig { test: words(&["NONE"]), ..HealthConfig::default() };
        own.fill(Some(&image));
        assert!(!own.is_checked() && own.interval.is_none());
        let mut none = HealthConfig::default();
        none.fill(None);
        assert_eq!(none, HealthConfig::default());
    }

    #[test]
    fn a_change_leaves_what_it_does_not_speak_of() {
        let mut config = HealthConfig { test: words(&["CMD", "a"]), ..HealthConfig::default() };
        config.fill(None);
        let mut change = HealthChange { log_results: Some(9), ..HealthChange::default() };
        change.regular.retries = Some(8);
        change.startup.test = Some(words(&["CMD", "s"]));
        change.startup_successes = Some(2);
        change.apply(&mut config).unwrap();
        assert_eq!((config.retries, config.interval), (Some(8), Some(USUAL.0)));
        assert_eq!((config.log.results(), config.log.characters()), (9, super::super::MOST_OUTPUT));
        let startup = config.startup.clone().unwrap();
        assert_eq!((startup.successes, startup.interval, startup.retries), (2, USUAL.0, 0));
        let mut later = HealthChange::default();
        later.startup.interval = Some(Duration::from_secs(3));
        later.apply(&mut config).unwrap();
        assert_eq!(config.startup.clone().unwrap().test, words(&["CMD", "s"]));
        let off = HealthChange { disable: true, ..HealthChange::default() };
        off.apply(&mut config).unwrap();
        assert_eq!((config.test.clone(), config.startup.clone()), (words(&["NONE"]), None));
        assert_eq!(config.log.results(), 9);
    }

    #[test]
    fn a_change_of_what_is_not_there_is_refused() {
        let check = |change: HealthChange, wanted: &str| {
            let error = change.apply(&mut HealthConfig::default()).unwrap_err();
            assert!(error.to_string().contains(wanted), "{error}");
        };
        let mut change = HealthChange::default();
        change.regular.retries = Some(1);
        check(change.clone(), "healthcheck command is not set");
        change.disable = true;
        check(change, "cannot specify both --no-healthcheck and other");
        let change = HealthChange { startup_successes: Some(1), ..HealthChange::default() };
        check(change, "startup healthcheck command is not set");
        let startup = Some(StartupCheck { test: words(&["a"]), ..StartupCheck::default() });
        let alone = HealthConfig { startup, ..HealthConfig::default() };
        assert!(alone.check().unwrap_err().to_string().contains("no regular healthcheck"));
    }
}
