//! Waiting until containers have ended, or are as somebody wants them.

use std::time::Duration;

use super::record::Status;
use super::{Container, Containers};
use crate::{Error, ErrorKind, Result};

/// What is waited for: any of these.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitConditions {
    /// It has ended; one that never began has, too.
    pub end: bool,
    /// It is in one of these states. Of [`Status::Removing`], one that is gone is as well.
    pub states: Vec<Status>,
    /// The checks of its health say one of these: `healthy`, `unhealthy`.
    pub healths: Vec<String>,
    /// How often it is looked at.
    pub pause: Duration,
}

impl Default for WaitConditions {
    /// Until it has ended.
    fn default() -> Self {
        let pause = Duration::from_millis(250);
        Self { end: true, states: Vec::new(), healths: Vec::new(), pause }
    }
}

impl Containers {
    /// Waits until a container has ended, and gives its exit code; at once for one that has, or never began.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    pub fn wait(&self, container: &Container) -> Result<i32> {
        self.wait_for(container, &WaitConditions::default())
    }

    /// Waits until a container is so: its exit code where it has ended, else -1.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for the health of one that nothing checks; [`ErrorKind::StateImproper`] where it has
    /// ended before the checks said so; [`ErrorKind::ContainerNotKnown`] where it was removed before it was so;
    /// [`ErrorKind::Storage`].
    ///
    /// Source: podman, `libpod/container_api.go`, `WaitForConditionWithInterval`.
    pub fn wait_for(&self, container: &Container, wanted: &WaitConditions) -> Result<i32> {
        let mut ended = false;
        loop {
            if let Some(code) = self.look(container, wanted, &mut ended)? {
                return Ok(code);
            }
            match wanted.end && wanted.states.is_empty() && wanted.healths.is_empty() {
                true => container.place.wait_for_end(),
                false => std::thread::sleep(wanted.pause),
            }
        }
    }

    /// Waits until the first of several containers is so, whichever it is: its exit code as of
    /// [`wait_for`](Self::wait_for). `None` if there are none.
    ///
    /// # Errors
    /// As [`wait_for`](Self::wait_for), for the first of which there is one.
    pub fn wait_for_first(
        &self,
        containers: &[Container],
        wanted: &WaitConditions,
    ) -> Result<Option<i32>> {
        let mut all: Vec<(&Container, bool)> = containers.iter().map(|one| (one, false)).collect();
        while !all.is_empty() {
            for (container, ended) in &mut all {
                if let Some(code) = self.look(container, wanted, ended)? {
                    return Ok(Some(code));
                }
            }
            std::thread::sleep(wanted.pause);
        }
        Ok(None)
    }

    /// Whether a container is so now. `ended` says whether it had ended when it was looked at last.
    fn look(
        &self,
        container: &Container,
        wanted: &WaitConditions,
        ended: &mut bool,
    ) -> Result<Option<i32>> {
        let now = match self.reload(container) {
            Ok(now) => now,
            Err(error) if error.kind() == ErrorKind::ContainerNotKnown => {
                // Its monitor leaves the code behind.
                let code = self.removed_code(container);
                let words = format!("no container with ID {} found", container.id());
                let gone = Error::new(error.kind(), words, "no such container");
                return match wanted.states.contains(&Status::Removing) {
                    true => Ok(Some(code.unwrap_or(-1))),
                    false if wanted.end => code.ok_or(gone).map(Some),
                    false => Err(gone),
                };
            }
            Err(error) => return Err(error),
        };
        if let (Some(health), false) = (wanted.healths.first(), now.config.health.is_checked()) {
            let words = format!("cannot use condition {health:?}");
            let why = format!("container {} has no healthcheck", now.id());
            return Err(Error::new(ErrorKind::Invalid, words, why));
        }
        let state = &now.state;
        if wanted.end && !state.status.has_process() {
            return Ok(Some(state.exit_code));
        }
        if wanted.states.contains(&state.status) {
            return Ok(Some(-1));
        }
        if !wanted.healths.is_empty() {
            if wanted.healths.contains(&now.health().status) {
                return Ok(Some(-1));
            }
            // Nothing checks it any more; what was checked last may be written down a moment later.
            if *ended {
                return Err(Error::new(ErrorKind::StateImproper, "container is stopped", ""));
            }
            *ended = matches!(state.status, Status::Exited | Status::Removing);
        }
        Ok(None)
    }

    /// The exit code of a container that was removed when it ended.
    pub(super) fn removed_code(&self, container: &Container) -> Option<i32> {
        let text = std::fs::read_to_string(container.place.exit_path());
        text.ok()?.trim().parse().ok()
    }
}
