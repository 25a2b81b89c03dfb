//! The images of a shelf.

use async_trait::async_trait;
use cask_image::Descriptor;
use cask_transport::{Collection, Entry, Error, ErrorKind, Result, Selector};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

use super::location::MemoryLocation;
use super::shelf::Shelf;

/// All images of a shelf.
pub(super) struct MemoryCollection {
    pub(super) location: MemoryLocation,
}

impl MemoryCollection {
    fn change<T>(&self, is_able: bool, change: impl FnOnce(&mut Shelf) -> Result<T>) -> Result<T> {
        if !is_able {
            return Err(Error::new(ErrorKind::Unsupported, "changing", &self.location)
                .with_detail("this transport cannot do that"));
        }
        change(self.location.store.state().shelf(&self.location.shelf))
    }

    fn can(&self) -> cask_transport::CollectionCapabilities {
        self.location.store.state().capabilities.collection
    }
}

#[async_trait]
impl Collection for MemoryCollection {
    fn entries(&self) -> BoxStream<'_, Result<Entry>> {
        let state = self.location.store.state();
        let entries = state.shelves.get(&self.location.shelf).map(|shelf| shelf.entries.clone());
        let entries = entries.unwrap_or_default().into_iter().enumerate().map(|(place, held)| {
            Ok(Entry { names: held.names, position: Some(place), descriptor: Some(held.top) })
        });
        futures_util::stream::iter(entries).boxed()
    }

    async fn tag(&self, manifest: &Descriptor, name: &str) -> Result<()> {
        self.change(self.can().tag, |shelf| {
            let top = shelf.descriptor(&manifest.digest)?;
            // A name that exists leaves its image first; what is left without one stays.
            for held in &mut shelf.entries {
                held.names.retain(|held| held != name);
            }
            match shelf.entries.iter_mut().find(|held| held.top.digest == top.digest) {
                Some(held) => held.names.push(name.to_owned()),
                None => shelf.name(vec![name.to_owned()], top),
            }
            Ok(())
        })
    }

    async fn untag(&self, name: &str) -> Result<()> {
        self.change(self.can().tag, |shelf| {
            let position = shelf.find(&Selector::Name(name.to_owned()), None)?;
            shelf.entries[position].names.retain(|held| held != name);
            Ok(())
        })
    }

    async fn delete(&self, selector: &Selector) -> Result<()> {
        let name = self.location.name.clone();
        self.change(self.can().delete, |shelf| {
            let position = shelf.find(selector, name.as_deref())?;
            shelf.delete(position);
            Ok(())
        })
    }
}
