//! Signals, stopping, pausing.

use std::time::Duration;

use cask_runtime::{Cgroup, Signal};

use super::holders::Monitor;
use super::{Container, ContainerState, Containers, Status};
use crate::{Error, ErrorKind, Result};

/// Seconds from the request to end to the end. Source: containers/common, `DefaultStopTimeout`.
pub(super) const STOP_SECONDS: u32 = 10;
/// How long a killed process may take to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

impl Container {
    /// The signal that asks it to end.
    pub fn stop_signal(&self) -> Signal {
        self.config.lifecycle.stop_signal.and_then(Signal::from_number).unwrap_or(Signal::TERM)
    }

    /// The seconds that it has for that.
    pub fn stop_timeout(&self) -> u32 {
        self.config.lifecycle.stop_timeout.unwrap_or(STOP_SECONDS)
    }

    fn improper(&self, words: &str) -> Error {
        Error::new(ErrorKind::StateImproper, words, "container state improper")
    }

    fn group(&self) -> Option<Cgroup> {
        self.state.cgroup.as_deref().and_then(|name| Cgroup::open(name).ok()?)
    }

    /// Its control group.
    ///
    /// # Errors
    /// [`ErrorKind::StateImproper`] where it does not run; [`ErrorKind::Unsupported`] where it has none.
    pub fn control_group(&self) -> Result<Cgroup> {
        if !self.state.status.is_up() {
            return Err(self.improper(&format!("container {} is not running", self.id())));
        }
        self.group().ok_or_else(|| {
            let why = self.state.notes.iter().find(|note| note.starts_with("no control group"));
            let why = why.map_or("it has no control group", String::as_str);
            Error::new(ErrorKind::Unsupported, format_args!("container {}", self.id()), why)
                .with_hint("control groups need root, or a delegated tree of them")
        })
    }
}

impl Containers {
    /// Sends a signal to the first process of a container.
    ///
    /// # Errors
    /// [`ErrorKind::StateImproper`] where it does not run.
    pub fn kill(&self, container: &Container, signal: Signal) -> Result<()> {
        if !container.state.status.is_up() {
            let words = format!(
                "can only kill running containers. {} is in state {}",
                container.id(),
                container.state.status.as_str()
            );
            return Err(container.improper(&words));
        }
        let mut monitor = None;
        if signal == Signal::KILL || signal == container.stop_signal() {
            // It shall not begin again by itself.
            monitor = self.mark(container, |state| state.stopped = true)?.1;
        }
        let process = container.process()?;
        process.signal(signal)?;
        self.tell("kill", &container.config);
        if signal == Signal::KILL {
            // What is frozen does not hear of its end.
            thaw(container);
            if process.wait(Some(PATIENCE))
                && let Some(monitor) = monitor
            {
                container.place.wait_for(monitor)?;
            }
        }
        Ok(())
    }

    /// Asks a container to end, and ends it after `timeout` seconds; `None` is what it was made with. One that does
    /// not run is no error. Says whether it had to be killed.
    ///
    /// # Errors
    /// [`ErrorKind::StateImproper`] for one that is paused; [`ErrorKind::Unresponsive`] where its monitor does
    /// nothing; [`ErrorKind::Io`].
    pub fn stop(&self, container: &Container, timeout: Option<u32>) -> Result<bool> {
        if container.state.status == Status::Paused {
            let words = format!(
                "can only stop created or running containers. {} is in state paused",
                container.id()
            );
            return Err(container.improper(&words));
        }
        if container.state.is_lost() {
            let words = format!("container {} runs, and its record was damaged", container.id());
            let why = "nobody but its monitor knows its first process";
            return Err(Error::new(ErrorKind::Unresponsive, words, why)
                .with_hint("remove it with rm --force, which ends both"));
        }
        let (fresh, monitor) = self.mark(container, |state| {
            state.stopped = true;
            state.stopping = true;
        })?;
        let killed = self.end(&fresh, monitor, timeout.unwrap_or_else(|| fresh.stop_timeout()))?;
        if fresh.state.status.is_up() {
            self.tell("stop", &fresh.config);
        }
        Ok(killed)
    }

    /// Ends the processes of a container, and waits until its monitor has tidied up.
    fn end(&self, container: &Container, monitor: Option<Monitor>, seconds: u32) -> Result<bool> {
        let tidied = || monitor.map_or(Ok(()), |monitor| container.place.wait_for(monitor));
        if container.state.status == Status::Initialized {
            self.end_leftovers(container)?;
        }
        let Ok(process) = container.process() else {
            tidied()?;
            return Ok(false);
        };
        let mut killed = false;
        let patience = Duration::from_secs(u64::from(seconds));
        if seconds > 0 {
            process.signal(container.stop_signal())?;
        }
        if seconds == 0 || !process.wait(Some(patience)) {
            killed = seconds > 0;
            process.signal(Signal::KILL)?;
            thaw(container);
            if !process.wait(Some(PATIENCE)) {
                let why = "its process does not end: it may wait for a device";
                return Err(Error::new(ErrorKind::Io, container.id(), why));
            }
        }
        tidied()?;
        Ok(killed)
    }

    /// Notes that it shall not begin again by itself, also where its monitor is just about to have it do so; gives it
    /// as it is now, and its monitor.
    fn mark(
        &self,
        container: &Container,
        note: impl FnOnce(&mut ContainerState),
    ) -> Result<(Container, Option<Monitor>)> {
        let place = &container.place;
        let _held = place.lock()?;
        let monitor = place.monitor();
        let (config, before) = place.load_as_written()?;
        let mut state = before.clone();
        note(&mut state);
        if state != before && (state.status.is_up() || monitor.is_some()) {
            match place.save(&config, &state) {
                // What fills the disk must end all the same.
                Err(error) if error.is_of_full_disk() => {}
                other => other?,
            }
        }
        let (config, state) = place.load()?;
        Ok((Container { config, state, place: place.clone() }, monitor))
    }

    /// Has all processes of a container stand.
    ///
    /// # Errors
    /// [`ErrorKind::StateImproper`] where it does not run; [`ErrorKind::Unsupported`] where it has no control
    /// group.
    pub fn pause(&self, container: &Container) -> Result<()> {
        let _held = container.place.lock()?;
        let (config, mut state) = container.place.load()?;
        let fresh = self.reload(container)?;
        if state.status != Status::Running {
            let words = format!("\"{}\" is not running, can't pause", state.status.as_str());
            return Err(container.improper(&words));
        }
        fresh.control_group()?.freeze()?;
        state.status = Status::Paused;
        container.place.save(&config, &state)?;
        self.tell("pause", &config);
        Ok(())
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// As [`pause`](Self::pause).
    pub fn unpause(&self, container: &Container) -> Result<()> {
        let _held = container.place.lock()?;
        let (config, mut state) = container.place.load()?;
        let fresh = self.reload(container)?;
        if state.status != Status::Paused {
            let words = format!("\"{}\" is not paused, can't unpause", state.status.as_str());
            return Err(container.improper(&words));
        }
        fresh.control_group()?.thaw()?;
        state.status = Status::Running;
        container.place.save(&config, &state)?;
        self.tell("unpause", &config);
        Ok(())
    }
}

fn thaw(container: &Container) {
    if container.state.status == Status::Paused
        && let Some(group) = container.group()
    {
        let _ = group.thaw();
    }
}
