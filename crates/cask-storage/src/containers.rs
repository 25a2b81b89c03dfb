//! Reading containers.

use std::sync::Arc;

use cask_json::quoted;

use crate::big_data::{self, MAX_BYTES};
use crate::cache::not_found;
use crate::place::Kind;
use crate::record::ContainerRecord;
use crate::{Container, Id, Result, Store, file};

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
        let containers = self.containers()?;
        let named = |container: &&Container| {
            container.id.as_str() == text || container.names.iter().any(|name| name == text)
        };
        let found = containers.iter().find(named).cloned();
        found.ok_or_else(|| not_found("finding the container", quoted(text)))
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

    fn container_view(&self, place: usize, record: &Arc<ContainerRecord>) -> Container {
        Container { record: Arc::clone(record), place, read_only: self.inner.is_read_only(place) }
    }
}
