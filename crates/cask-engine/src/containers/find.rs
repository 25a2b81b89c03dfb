//! Which container a user means.

use cask_storage::Id;
use serde::de::DeserializeOwned;

use super::record::Place;
use super::summary::ContainerSummary;
use super::{Container, Containers, record};
use crate::{Error, ErrorKind, Result};

impl Containers {
    /// Finds a container by its name, its ID, or the beginning of its ID.
    ///
    /// # Errors
    /// [`ErrorKind::ContainerNotKnown`]; [`ErrorKind::Ambiguous`] where the IDs of several begin so;
    /// [`ErrorKind::Storage`].
    pub fn find(&self, text: &str) -> Result<Container> {
        if let Some(id) = Id::parse(text).ok().filter(|_| text.len() == 64) {
            return match self.at(&id) {
                Err(error) if error.kind() == ErrorKind::ContainerNotKnown => {
                    Err(Error::no_container(text))
                }
                found => found,
            };
        }
        if text.is_empty() {
            return Err(Error::no_container(text));
        }
        if let Some(found) = self.named(text)? {
            return Ok(found);
        }
        let mut ids = record::ids(&self.directory())?;
        ids.retain(|id| id.as_str().starts_with(text));
        match ids.as_slice() {
            [] => Err(Error::no_container(text)),
            [id] => self.at(id),
            _ => Err(Error::new(
                ErrorKind::Ambiguous,
                format_args!("more than one result for container name or ID {text}"),
                "container already exists",
            )),
        }
    }

    /// The container of a name. The store knows names without one file for each container.
    pub(super) fn named(&self, name: &str) -> Result<Option<Container>> {
        if super::mounts::check_name(name).is_err() {
            return Ok(None);
        }
        let in_store = match self.store().container_named(name) {
            Ok(found) => found,
            Err(error) if error.kind() == cask_storage::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match self.at(&in_store.id) {
            // Another program's.
            Err(error) if error.kind() == ErrorKind::ContainerNotKnown => Ok(None),
            found => found.map(Some),
        }
    }

    pub(super) fn at(&self, id: &Id) -> Result<Container> {
        let place = self.place(id);
        let (config, state) = place.load()?;
        Ok(Container { config, state, place })
    }

    /// All containers, in no order. What is damaged is left out, and told to `damaged`.
    ///
    /// One that was to go when it ended, but ended with its monitor or with the machine, goes now.
    ///
    /// # Errors
    /// [`ErrorKind::Io`].
    pub fn all(&self, damaged: impl FnMut(Error)) -> Result<Vec<Container>> {
        let make = |(config, state), place| Container { config, state, place };
        self.each(make, Container::outlived_its_removal, damaged)
    }

    /// What lists say of all containers, in no order: as [`all`](Self::all), but several times sooner.
    ///
    /// # Errors
    /// [`ErrorKind::Io`].
    pub(super) fn all_summaries(
        &self,
        damaged: impl FnMut(Error),
    ) -> Result<Vec<ContainerSummary>> {
        let make = |(part, state), place| ContainerSummary::new(part, state, place);
        self.each(make, ContainerSummary::outlived_its_removal, damaged)
    }

    fn each<C: DeserializeOwned + Send, T>(
        &self,
        make: impl Fn((C, super::ContainerState), Place) -> T,
        outlived: impl Fn(&T) -> bool,
        mut damaged: impl FnMut(Error),
    ) -> Result<Vec<T>> {
        let ids = record::ids(&self.directory())?;
        let places: Vec<Place> = ids.iter().map(|id| self.place(id)).collect();
        let loaded = record::load_all(&places);
        let mut found = Vec::with_capacity(ids.len());
        for ((id, place), loaded) in ids.iter().zip(places).zip(loaded) {
            match loaded {
                Ok(loaded) => {
                    let one = make(loaded, place);
                    if !(outlived(&one) && self.sweep(id)) {
                        found.push(one);
                    }
                }
                // Being made, or removed meanwhile; or whoever did that was killed.
                Err(error) if error.kind() == ErrorKind::ContainerNotKnown => {
                    self.sweep_half_made(id);
                }
                Err(error) => damaged(error),
            }
        }
        Ok(found)
    }

    /// Removes what is left of a container that was never whole, or is no more, where nobody works on it; says
    /// whether there was anything.
    pub(super) fn sweep_half_made(&self, id: &Id) -> bool {
        let place = self.place(id);
        let Some(_held) = place.abandoned() else { return false };
        match self.store().delete_container(id) {
            Err(error) if error.kind() != cask_storage::ErrorKind::NotFound => false,
            _ => place.remove().is_ok(),
        }
    }

    /// Removes what its monitor could not. Where that cannot be done, it stays in the list.
    fn sweep(&self, id: &Id) -> bool {
        let found = self.at(id);
        found.is_ok_and(|found| self.remove(&found, &super::RemoveOptions::default()).is_ok())
    }
}

impl Container {
    /// Whether it should be gone: it ended, and nobody is left who would remove it.
    fn outlived_its_removal(&self) -> bool {
        self.config.lifecycle.auto_remove
            && (self.state.status == super::Status::Exited || self.state.beginning)
            && !self.place.has_monitor()
    }
}
