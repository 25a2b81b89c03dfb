//! What a place holds.

use async_trait::async_trait;
use cask_image::Descriptor;
use futures_util::stream::BoxStream;

use crate::{Result, Selector};

/// One image of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its names, as they stand in the place: tags, or whole references. Empty if it has none.
    pub names: Vec<String>,
    /// Where the place counts its images: the position, from zero.
    pub position: Option<usize>,
    /// Its manifest or index, where the place tells without being asked for each.
    pub descriptor: Option<Descriptor>,
}

/// The set of images of a place: a repository, a layout, an archive, a store.
#[async_trait]
pub trait Collection: Send + Sync {
    /// Lists the images in the order of the place.
    fn entries(&self) -> BoxStream<'_, Result<Entry>>;

    /// Gives another name to a manifest that the place holds. A name that exists is moved.
    ///
    /// # Errors
    /// `NotFound` if the place does not hold the manifest; `Unsupported` where
    /// [`Capabilities`](crate::Capabilities) say so.
    async fn tag(&self, manifest: &Descriptor, name: &str) -> Result<()>;

    /// Takes a name away. The manifest stays.
    ///
    /// # Errors
    /// `NotFound` if there is no such name; `Unsupported` where
    /// [`Capabilities`](crate::Capabilities) say so.
    async fn untag(&self, name: &str) -> Result<()>;

    /// Deletes an image and everything that only it needed.
    ///
    /// # Errors
    /// `NotFound` if there is no such image; `Unsupported` where
    /// [`Capabilities`](crate::Capabilities) say so.
    async fn delete(&self, selector: &Selector) -> Result<()>;
}
