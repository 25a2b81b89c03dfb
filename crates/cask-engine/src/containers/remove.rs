//! Removing containers.

use cask_storage::{Id, Leftovers};

use super::record::Held;
use super::{Container, Containers, Status, resources};
use crate::{Error, ErrorKind, Found, Removal, Removed, Result};

/// How often one is ended that others start again and again.
const MOST_ENDS: usize = 10;

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
    /// nothing, both without `force`; [`ErrorKind::Invalid`] for the infra container of a pod; [`ErrorKind::Storage`] and
    /// [`ErrorKind::Io`].
    pub fn remove(&self, container: &Container, options: &RemoveOptions) -> Result<()> {
        self.check_no_infra(container)?;
        self.remove_any(container, options)
    }

    /// Removes a container, also where it is the infra container of a pod.
    pub(crate) fn remove_any(&self, container: &Container, options: &RemoveOptions) -> Result<()> {
        let (held, fresh) = match self.ended(container, options) {
            // It was made to go when it ended, or somebody else removed it.
            Err(error) if error.kind() == ErrorKind::ContainerNotKnown => return Ok(()),
            other => other?,
        };
        let Container { config, mut state, .. } = fresh.clone();
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

    /// Removes an image as [`Images::remove`](crate::Images::remove) does. Where its containers go too, they are ended
    /// first, as with `force`.
    ///
    /// # Errors
    /// Those of [`Images::remove`](crate::Images::remove), and of [`remove`](Self::remove).
    pub fn remove_image(&self, found: &Found, removal: Removal) -> Result<Removed> {
        let options = RemoveOptions { force: true, ..RemoveOptions::default() };
        let end = |image: &Id| {
            let uses =
                |one: &Container| removal.containers && one.config.image_id == image.as_str();
            // What is damaged is told where containers are looked at.
            let mut users = self.all(drop)?.into_iter().filter(uses);
            users.try_for_each(|container| self.remove(&container, &options))
        };
        self.images().remove_after(found, removal, &end)
    }

    /// A container that does not run, and has no monitor, with its lock. With `force` it is brought to that.
    fn ended(&self, container: &Container, options: &RemoveOptions) -> Result<(Held, Container)> {
        // What its first process is cannot be known any more, so nobody can ask it to end.
        let mut put_down = options.force && container.state.is_lost();
        if put_down {
            self.put_down(container)?;
        }
        for _ in 0..MOST_ENDS {
            match self.try_ended(container, options) {
                Ok(None) => {}
                Ok(Some(ended)) => return Ok(ended),
                Err(error) if error.kind() == ErrorKind::ContainerNotKnown => return Err(error),
                Err(_) if options.force && !put_down => {
                    put_down = true;
                    self.put_down(container)?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(still_up(&self.reload(container)?))
    }

    /// `None` where something was ended: then it is looked at again.
    fn try_ended(
        &self,
        container: &Container,
        options: &RemoveOptions,
    ) -> Result<Option<(Held, Container)>> {
        let place = &container.place;
        let held = place.lock()?;
        let fresh = self.reload(container)?;
        if fresh.state.status.is_up() {
            drop(held);
            if !options.force {
                return Err(still_up(&fresh));
            }
            self.mark_and_end(&fresh, options.timeout)?;
            return Ok(None);
        }
        let Some(monitor) = place.monitor() else { return Ok(Some((held, fresh))) };
        // It tidies up, or waits for the moment when the container begins again.
        let mut state = fresh.state.clone();
        state.stopped = true;
        match place.save(&fresh.config, &state) {
            Err(error) if !options.force => return Err(error),
            _ => drop(held),
        }
        if fresh.state.status == Status::Initialized {
            self.end_leftovers(&fresh)?;
        }
        place.wait_for(monitor).map(|()| None)
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
        container.sweep_runtime()?;
        let name = container.state.cgroup.clone();
        // One that was killed while it began has not written down its group.
        let begun = || container.state.beginning.then(|| resources::group_name(&container.config));
        if let Some(name) = name.or_else(begun)
            && let Some(group) = cask_runtime::Cgroup::open(&name)?
        {
            group.kill()?;
            group.remove()?;
        }
        if let Ok(layer) = Id::parse(&container.config.layer) {
            self.store().unmount_layer(&layer, true)?;
        }
        self.let_volumes_go(container);
        container.place.unmount_root()?;
        self.leave_hosts(&container.config);
        self.forget_network(container)
    }

    /// Removes its layer, its record and its files.
    pub(super) fn remove_everything(&self, container: &Container) -> Result<()> {
        match self.unlist(container)? {
            Some(leftovers) => Ok(leftovers.delete()?),
            None => Ok(()),
        }
    }

    /// Removes the same so far that nothing names it any more: deleting what it wrote is left to the caller.
    pub(super) fn unlist(&self, container: &Container) -> Result<Option<Leftovers>> {
        let place = &container.place;
        place.unmount_root()?;
        let leftovers = match self.store().unlist_container(&Id::parse(container.id())?) {
            Err(error) if error.kind() == cask_storage::ErrorKind::NotFound => {
                place.remove()?;
                None
            }
            other => {
                let (_, mut leftovers) = other?;
                leftovers.add(&place.run)?;
                leftovers.add(&place.kept)?;
                Some(leftovers)
            }
        };
        self.tell("remove", &container.config);
        Ok(leftovers)
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
        if place.monitor().is_some() {
            place.end_holders()?;
        }
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
    /// [`ErrorKind::ContainerNotKnown`]; [`ErrorKind::StateImproper`] for one that is mounted, without `force`;
    /// [`ErrorKind::Storage`].
    pub fn remove_external(&self, text: &str, force: bool) -> Result<String> {
        let found = match self.store().container_named(text) {
            Err(error) if error.kind() == cask_storage::ErrorKind::NotFound => {
                let external = self.find_external(text)?;
                self.store().container_named(&external.id)?
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
        let is_mounted = match &found.layer {
            Some(layer) => self.store().mounts()?.iter().any(|mount| mount.layer == *layer),
            None => false,
        };
        if is_mounted && !force {
            let words = format!(
                "container {:?} is mounted and cannot be removed without using force",
                found.id.as_str()
            );
            return Err(Error::new(ErrorKind::StateImproper, words, "container state improper"));
        }
        self.store().delete_container(&found.id)?;
        Ok(found.id.to_string())
    }
}

fn still_up(container: &Container) -> Error {
    let id = container.id();
    let words = format!(
        "cannot remove container {id} as it is {} - running or paused containers cannot be removed without force",
        container.state.word()
    );
    Error::new(ErrorKind::StateImproper, words, "container state improper")
}
