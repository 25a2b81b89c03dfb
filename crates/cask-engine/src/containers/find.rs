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
        let ids = record::ids(&self.directory())?;
        let begin_so = |id: &&Id| id.as_str().starts_with(text);
        match ids.iter().filter(begin_so).collect::<Vec<_>>().as_slice() {
            [] => self.left_behind(&ids, text).ok_or_else(|| Error::no_container(text)),
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

    /// The container of a name that another program removed from the store, which only its own record tells then.
    fn left_behind(&self, ids: &[Id], name: &str) -> Option<Container> {
        let in_store = self.store().container_directories();
        let mut disowned = ids.iter().filter(|id| !in_store.contains(id.as_str()));
        disowned.find_map(|id| self.at(id).ok().filter(|found| found.name() == name))
    }

    /// Removes the container that has a name, if there is one, whatever it does.
    pub(super) fn remove_named(&self, name: &str) -> Result<()> {
        let old = match self.named(name)? {
            None => self.left_behind(&record::ids(&self.directory())?, name),
            found => found,
        };
        let options = super::RemoveOptions { force: true, ..Default::default() };
        old.map_or(Ok(()), |old| self.remove(&old, &options))
    }

    pub(super) fn at(&self, id: &Id) -> Result<Container> {
        let place = self.place(id);
        let (config, state) = place.load()?;
        Ok(Container { config, state, place })
    }

    /// The container that was made last, if there is one.
    ///
    /// # Errors
    /// [`ErrorKind::Io`]; [`ErrorKind::Storage`].
    pub fn latest(&self) -> Result<Option<Container>> {
        let created = |one: &ContainerSummary| {
            let time: Option<cask_image::Timestamp> = one.created.parse().ok();
            time.map(|time| (time.unix_seconds(), time.nanoseconds()))
        };
        let last = self.all_summaries(|_| ())?.into_iter().max_by_key(created);
        last.map(|one| self.at(&Id::parse(&one.id)?)).transpose()
    }

    /// All containers, in no order. What is damaged is left out, and told to `damaged`.
    ///
    /// One that was to go when it ended, but ended with its monitor or with the machine, goes now; so does what is
    /// left of one that another program removed from the store, when nothing of it runs any more.
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
        let in_store = self.store().container_directories();
        let mut found = Vec::with_capacity(ids.len());
        for ((id, place), loaded) in ids.iter().zip(places).zip(loaded) {
            match loaded {
                Ok(loaded) => {
                    let disowned = !in_store.contains(id.as_str());
                    let one = make(loaded, place);
                    if !((outlived(&one) && self.sweep(id))
                        || (disowned && self.sweep_disowned(id)))
                    {
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

    /// Removes the rest of a container that is not in the store any more, unless somebody works on it.
    fn sweep_disowned(&self, id: &Id) -> bool {
        let in_store = self.store().container_named(id.as_str());
        let is_gone =
            in_store.is_err_and(|error| error.kind() == cask_storage::ErrorKind::NotFound);
        is_gone && self.place(id).is_idle() && self.sweep(id)
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
