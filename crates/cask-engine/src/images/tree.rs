//! The layers of an image, and what stands on them.

use cask_storage::{Id, Image};

use crate::{Images, Relations, Result};

/// The layers of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageTree {
    /// The size of the image in bytes, as in a list of images.
    pub size_bytes: u64,
    /// The lowest layers; each has those above it.
    pub layers: Vec<TreeLayer>,
}

/// A layer in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TreeLayer {
    /// Its ID.
    pub id: Id,
    /// The size of its tar stream in bytes.
    pub size_bytes: u64,
    /// The names of the images that end with it.
    pub top_of: Vec<String>,
    /// The layers above it.
    pub above: Vec<TreeLayer>,
    /// Whether other layers stand beside it on the one below, where what stands on that is shown.
    pub has_siblings: bool,
}

impl Images {
    /// Shows the layers of an image, one above the other.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage).
    pub fn tree(&self, image: &Image) -> Result<ImageTree> {
        let relations = self.relations()?;
        let chain = match &image.top_layer {
            Some(top) => self.store().layer_chain(top)?,
            None => Vec::new(),
        };
        let mut above = Vec::new();
        for layer in &chain {
            above = vec![TreeLayer {
                id: layer.id.clone(),
                size_bytes: u64::try_from(layer.diff_size_bytes).unwrap_or(0),
                top_of: names(&relations, &layer.id),
                above,
                has_siblings: false,
            }];
        }
        Ok(ImageTree { size_bytes: self.size(image)?, layers: above })
    }

    /// Shows the lowest layer of an image, and everything that stands on it.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage).
    pub fn tree_of_dependents(&self, image: &Image) -> Result<ImageTree> {
        let relations = self.relations()?;
        let Some(top) = &image.top_layer else {
            return Ok(ImageTree { size_bytes: self.size(image)?, layers: Vec::new() });
        };
        let layer = self.dependents(&relations, top)?;
        Ok(ImageTree { size_bytes: self.size(image)?, layers: vec![layer] })
    }

    /// Nothing recurses deeper than chains of layers may be long.
    fn dependents(&self, relations: &Relations<'_>, id: &Id) -> Result<TreeLayer> {
        let size = self.store().layer(id)?.map_or(0, |layer| layer.diff_size_bytes);
        let above = relations.layers_above(id).iter();
        Ok(TreeLayer {
            id: id.clone(),
            size_bytes: u64::try_from(size).unwrap_or(0),
            top_of: names(relations, id),
            above: above.map(|id| self.dependents(relations, id)).collect::<Result<_>>()?,
            has_siblings: relations.has_siblings(id),
        })
    }

    /// The size of an image in bytes: its files and the tar streams of its layers.
    pub(super) fn size(&self, image: &Image) -> Result<u64> {
        let files: i64 = image.big_data_sizes.values().sum();
        let layers = match &image.top_layer {
            Some(top) => self.store().layer_chain(top)?,
            None => Vec::new(),
        };
        let layers: i64 = layers.iter().map(|layer| layer.diff_size_bytes.max(0)).sum();
        Ok(u64::try_from(files + layers).unwrap_or(0))
    }
}

fn names(relations: &Relations<'_>, layer: &Id) -> Vec<String> {
    relations.with_top_layer(layer).flat_map(|image| image.names.clone()).collect()
}
