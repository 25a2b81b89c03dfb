//! Removing containers.

use cask_storage::Id;

use super::{Container, Containers, Status};
use crate::{Error, ErrorKind, Result};

/// How a container is removed.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RemoveOptions {
    /// One that runs is ended first.
    pub force: bool,
    /// Its anonymous volumes go with it.
    pub volumes: bool,
    /// Seconds from the request to end to the end.
    pub timeout: Option<u32>,
}

impl Containers {
    /// Removes a container.
    ///
    /// # Errors
    /// [`ErrorKind::StateImproper`] for one that runs, and [`ErrorKind::Unresponsive`] for one whose monitor does
    /// nothing, both without `force`; [`ErrorKind::InUse`] for one whose namespaces others use; [`ErrorKind::Storage`] and [`ErrorKind::Io`].
    pub fn remove(&self, container: &Container, options: &RemoveOptions) -> Result<()> {
        let fresh = match self.reload(container) {
            Err(error) if error.kind() == ErrorKind::ContainerNotKnown => return Ok(()),
            other => other?,
        };
        if fresh.state.status.is_up() {
            if !options.force {
                return Err(still_up(&fresh));
            }
            match self.mark_and_end(&fresh, options.timeout) {
                // It was made to go when it ended.
                Err(error) if error.kind() == ErrorKind::ContainerNotKnown => return Ok(()),
                Err(_) => self.put_down(&fresh)?,
                Ok(()) => {}
            }
        } else if fresh.place.has_monitor() {
            // It tidies up, or waits for the moment when the container begins again.
            match self.mark_stopped(&fresh) {
                Err(error) if error.kind() == ErrorKind::ContainerNotKnown => return Ok(()),
                Err(error) if !options.force => return Err(error),
                _ => {}
            }
        }
        let held = match fresh.place.wait_for_monitor().and_then(|()| fresh.place.lock()) {
            Err(error) if error.kind() == ErrorKind::ContainerNotKnown => return Ok(()),
            Err(error) if options.force && error.kind() == ErrorKind::Unresponsive => {
                self.put_down(&fresh)?;
                fresh.place.lock()?
            }
            other => other?,
        };
        let (config, mut state) = fresh.place.load()?;
        if state.status.is_up() {
            return Err(still_up(&fresh));
        }
        self.tear_down(&fresh)?;
        state.status = Status::Removing;
        // On a full disk it is removed all the same.
        let _ = fresh.place.save(&config, &state);
        if options.volumes || config.lifecycle.auto_remove {
            self.remove_anonymous(&config)?;
        }
        self.remove_everything(&fresh)?;
        drop(held);
        Ok(())
    }

    fn mark_and_end(&self, container: &Container, timeout: Option<u32>) -> Result<()> {
        if container.state.status == Status::Paused {
            // It cannot answer a request.
            return self.kill(container, cask_runtime::Signal::KILL);
        }
        self.stop(container, timeout).map(drop)
    }

    /// Takes back what a container that was killed with its monitor left behind: its group, its mount.
    pub(super) fn tear_down(&self, container: &Container) -> Result<()> {
        self.end_leftovers(container)?;
        if let Some(name) = &container.state.cgroup
            && let Some(group) = cask_runtime::Cgroup::open(name)?
        {
            group.kill()?;
            group.remove()?;
        }
        if let Ok(layer) = Id::parse(&container.config.layer) {
            self.store().unmount_layer(&layer, true)?;
        }
        self.forget_network(container)
    }

    /// Removes its layer, its record and its files.
    pub(super) fn remove_everything(&self, container: &Container) -> Result<()> {
        match self.store().delete_container(&Id::parse(container.id())?) {
            Err(error) if error.kind() == cask_storage::ErrorKind::NotFound => {}
            other => drop(other?),
        }
        container.place.remove()?;
        self.tell("remove", &container.config);
        Ok(())
    }

    /// Removes a container that cannot be read, by its ID or the beginning of it.
    ///
    /// # Errors
    /// [`ErrorKind::ContainerNotKnown`]; [`ErrorKind::Storage`].
    pub fn remove_damaged(&self, text: &str) -> Result<String> {
        let mut ids = super::record::ids(&self.directory())?;
        ids.retain(|id| id.as_str().starts_with(text) && !text.is_empty());
        let [id] = ids.as_slice() else { return Err(Error::no_container(text)) };
        let place = self.place(id);
        place.wait_for_monitor()?;
        match self.store().delete_container(id) {
            Err(error) if error.kind() == cask_storage::ErrorKind::NotFound => {}
            other => drop(other?),
        }
        place.remove()?;
        Ok(id.to_string())
    }

    /// Removes a container of the store that another program made, such as a build: podman's words for it are
    /// "external".
    ///
    /// # Errors
    /// [`ErrorKind::ContainerNotKnown`]; [`ErrorKind::Storage`].
    pub fn remove_external(&self, text: &str) -> Result<String> {
        let found = match self.store().container_named(text) {
            Err(error) if error.kind() == cask_storage::ErrorKind::NotFound => {
                return Err(Error::no_container(text));
            }
            other => other?,
        };
        if self.sweep_half_made(&found.id) {
            return Ok(found.id.to_string());
        }
        if self.place(&found.id).kept.exists() {
            // It is one of ours, with a monitor that must end first.
            return Err(Error::no_container(text));
        }
        self.store().delete_container(&found.id)?;
        Ok(found.id.to_string())
    }
}

fn still_up(container: &Container) -> Error {
    let id = container.id();
    let words = format!(
        "cannot remove container {id} as it is {} - running or paused containers cannot be removed without force",
        container.state.status.as_str()
    );
    Error::new(ErrorKind::StateImproper, words, "container state improper")
}
