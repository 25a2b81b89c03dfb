//! Everything about one image.

use std::collections::BTreeMap;

use cask_image::{Digest, ImageConfig, Manifest, MediaType};
use cask_storage::{Id, Image};

use super::list::{digest, repository_digests};
use crate::{Images, Result};

/// Everything about one image.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImageDetails {
    /// The image.
    pub image: Image,
    /// Its config; `None` for lists and artifacts.
    pub config: Option<ImageConfig>,
    /// What its manifest is.
    pub manifest_type: MediaType,
    /// What its manifest says besides.
    pub annotations: BTreeMap<String, String>,
    /// The size in bytes of its files and the tar streams of its layers.
    pub size_bytes: u64,
    /// The image that it was built on by one step.
    pub parent: Option<Id>,
    /// Each repository in which it has a name, with each digest of its manifests, sorted.
    pub repository_digests: Vec<String>,
    /// Its layers, the top first.
    pub layers: Vec<Id>,
}

impl ImageDetails {
    /// The digest by which it came: of its manifest, or of the list that it was chosen from.
    pub fn digest(&self) -> Option<&Digest> {
        digest(&self.image)
    }
}

impl Images {
    /// Tells everything about an image.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage).
    pub fn details(&self, image: &Image) -> Result<ImageDetails> {
        let (raw, manifest) = self.manifest(image)?;
        let annotations = match manifest {
            Manifest::Image(manifest) => manifest.annotations,
            Manifest::Index(index) => index.annotations,
            _ => BTreeMap::new(),
        };
        let layers = match &image.top_layer {
            Some(top) => self.store().layer_chain(top)?,
            None => Vec::new(),
        };
        Ok(ImageDetails {
            config: self.config(image)?,
            manifest_type: raw.media_type().clone(),
            annotations,
            size_bytes: self.size(image)?,
            parent: self.relations()?.parent(image)?.map(|parent| parent.id.clone()),
            repository_digests: repository_digests(image),
            layers: layers.iter().map(|layer| layer.id.clone()).collect(),
            image: image.clone(),
        })
    }
}
