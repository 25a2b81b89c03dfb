//! How an image came to be.

use cask_image::Timestamp;
use cask_storage::{Id, Image};

use crate::{Error, ErrorKind, Images, Result};

/// A step of an image's history, the latest first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// The image that this step made, if it is here.
    pub image: Option<Id>,
    /// The names of that image.
    pub names: Vec<String>,
    /// When the step was done.
    pub created: Option<Timestamp>,
    /// What was done.
    pub created_by: String,
    /// What the builder noted.
    pub comment: String,
    /// The size of the layer's tar stream in bytes; 0 for a step without a layer.
    pub size_bytes: u64,
}

impl Images {
    /// Tells the history of an image, with the images that were made on the way.
    ///
    /// Source: containers/common, `libimage/history.go`, which however guesses which image a step
    /// made.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a list; [`ErrorKind::Storage`].
    pub fn history(&self, image: &Image) -> Result<Vec<HistoryEntry>> {
        let Some(config) = self.config(image)? else {
            return Err(Error::new(ErrorKind::Invalid, &image.id, "it is no image with a history"));
        };
        let relations = self.relations()?;
        let layers = match &image.top_layer {
            Some(top) => self.store().layer_chain(top)?,
            None => Vec::new(),
        };
        let mut layers = layers.iter();
        let mut made = Some(image.clone());
        let mut entries = Vec::with_capacity(config.history.len());
        for step in config.history.iter().rev() {
            let layer = if step.empty_layer { None } else { layers.next() };
            let size = layer.map_or(0, |layer| layer.diff_size_bytes);
            entries.push(HistoryEntry {
                image: made.as_ref().map(|image| image.id.clone()),
                names: made.as_ref().map(|image| image.names.clone()).unwrap_or_default(),
                created: step.created,
                created_by: step.created_by.clone(),
                comment: step.comment.clone(),
                size_bytes: u64::try_from(size).unwrap_or(0),
            });
            made = match made {
                Some(image) => relations.parent(&image)?.cloned(),
                None => None,
            };
        }
        Ok(entries)
    }
}
