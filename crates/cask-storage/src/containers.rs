//! Reading containers.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use cask_json::quoted;

use crate::big_data::{self, MAX_BYTES};
use crate::cache::not_found;
use crate::delete::Books;
use crate::names::deduplicated;
use crate::place::Kind;
use crate::record::ContainerRecord;
use crate::{Container, DriverKind, Error, ErrorKind, Id, Result, Store, file, rebuild};

impl Store {
    /// All containers, whoever made them.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`](crate::ErrorKind::Denied) and [`ErrorKind::Io`](crate::ErrorKind::Io).
    pub fn containers(&self) -> Result<Vec<Container>> {
        let own = self.inner.container_place();
        let mut containers = Vec::new();
        for (place, table) in self.inner.tables::<ContainerRecord>()? {
            if place == own {
                containers.extend(table.records().map(|record| self.container_view(place, record)));
            }
        }
        Ok(containers)
    }

    /// The container with an ID or a name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound),
    /// [`ErrorKind::Denied`](crate::ErrorKind::Denied) and [`ErrorKind::Io`](crate::ErrorKind::Io).
    pub fn container_named(&self, text: &str) -> Result<Container> {
        let own = self.inner.container_place();
        for (place, table) in self.inner.tables::<ContainerRecord>()? {
            // Without a look at the others: there may be thousands.
            let found = || table.by_id(text).or_else(|| table.by_name(text));
            if place == own
                && let Some(record) = found()
            {
                return Ok(self.container_view(place, record));
            }
        }
        Err(not_found("finding the container", quoted(text)))
    }

    /// Whether there is a directory of a container, whichever driver the store had when it was made: every container
    /// has one, and whoever removes the container removes it.
    pub fn has_container_directory(&self, id: &Id) -> bool {
        self.container_places().any(|place| place.join(id.as_str()).exists())
    }

    /// The names of all those directories, and of what else lies there: for who asks of many containers.
    pub fn container_directories(&self) -> HashSet<String> {
        let entries = self.container_places().filter_map(|place| place.read_dir().ok()).flatten();
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
    }

    fn container_places(&self) -> impl Iterator<Item = PathBuf> {
        let place = &self.inner.places[self.inner.container_place()];
        let kind = |driver| format!("{driver}-{}", Kind::Container.plural());
        DriverKind::ALL.into_iter().map(move |driver| place.root().join(kind(driver)))
    }

    /// The containers that were made from an image.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`](crate::ErrorKind::Denied) and [`ErrorKind::Io`](crate::ErrorKind::Io).
    pub fn containers_of_image(&self, image: &Id) -> Result<Vec<Container>> {
        let mut containers = self.containers()?;
        containers.retain(|container| container.image.as_ref() == Some(image));
        Ok(containers)
    }

    /// The bytes of one of a container's files, which its maker keeps under a key. Up to 64 MiB.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where there is none;
    /// [`ErrorKind::LimitExceeded`](crate::ErrorKind::LimitExceeded);
    /// [`ErrorKind::Denied`](crate::ErrorKind::Denied) and [`ErrorKind::Io`](crate::ErrorKind::Io).
    pub fn container_data(&self, container: &Container, key: &str) -> Result<Vec<u8>> {
        let missing =
            || not_found("reading", format!("{} of container {}", quoted(key), container.id));
        if !big_data::is_key(key) {
            return Err(missing());
        }
        let place = &self.inner.places[container.place];
        let directory = place.big_data_directory(Kind::Container, &container.id);
        let found = file::read(&directory.join(big_data::file_name(key)), MAX_BYTES)?;
        found.map(|(bytes, _)| bytes).ok_or_else(missing)
    }

    /// Gives a container these names and no others.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for the container; [`ErrorKind::Exists`] where another one has one of
    /// the names; [`ErrorKind::InvalidName`] for an empty one; [`ErrorKind::ReadOnly`],
    /// [`ErrorKind::Locked`], [`ErrorKind::NoSpace`] and [`ErrorKind::Io`].
    pub fn set_container_names(&self, id: &Id, names: &[String]) -> Result<()> {
        let names = deduplicated(names.to_vec())?;
        let held = self.inner.hold_all()?;
        let mut books = Books::load(&held)?;
        if books.containers.by_id(id.as_str()).is_none() {
            return Err(not_found("naming the container", id));
        }
        let other = |name: &&String| {
            books.containers.by_name(name).is_some_and(|container| container.id != *id)
        };
        if let Some(taken) = names.iter().find(other) {
            return Err(Error::new(ErrorKind::Exists, "naming the container", quoted(taken))
                .with_detail("another one has this name"));
        }
        books.containers.change(id, |record| record.names = names);
        held.save_containers(&mut books.containers)?;
        if let Some(record) = books.containers.by_id(id.as_str()) {
            let place = &self.inner.places[self.inner.container_place()];
            rebuild::renew_copy(&place.big_data_directory(Kind::Container, id), record);
        }
        Ok(())
    }

    fn container_view(&self, place: usize, record: &Arc<ContainerRecord>) -> Container {
        Container { record: Arc::clone(record), place, read_only: self.inner.is_read_only(place) }
    }
}
