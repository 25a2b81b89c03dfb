//! Lists of images.

use std::collections::{BTreeSet, HashMap};

use cask_image::{Digest, Timestamp};
use cask_storage::{Id, Image};

use super::filter::{Filter, Matcher};
use super::find::parse;
use crate::{Images, Result};

/// What a list says of an image.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImageSummary {
    /// The image.
    pub image: Image,
    /// Its size in bytes: its files and the tar streams of its layers, shared ones included.
    pub size_bytes: u64,
    /// How many containers were made from it.
    pub containers: usize,
    /// When it was made, as its config says.
    pub created: Option<Timestamp>,
}

impl ImageSummary {
    /// Each repository in which it has a name, with each digest of its manifests, sorted.
    pub fn repository_digests(&self) -> Vec<String> {
        repository_digests(&self.image)
    }

    /// The digest by which it came: of its manifest, or of the list that it was chosen from.
    pub fn digest(&self) -> Option<&Digest> {
        digest(&self.image)
    }
}

/// The digest by which an image came. Of a list that a peer made, the record says that of an empty
/// one, which nothing has.
pub(crate) fn digest(image: &Image) -> Option<&Digest> {
    let is_there = |digest: &&Digest| image.big_data_digests.values().any(|held| held == *digest);
    image.digest.as_ref().filter(is_there).or(image.manifest_digest())
}

/// Each repository in which an image has a name, with each digest of its manifests.
pub(super) fn repository_digests(image: &Image) -> Vec<String> {
    let repositories: BTreeSet<String> = image
        .names
        .iter()
        .filter_map(|name| parse(name))
        .map(|name| name.name().to_owned())
        .collect();
    let digests = image.digests();
    let with_digests = |repository: &String| {
        digests.iter().map(|digest| format!("{repository}@{digest}")).collect::<Vec<_>>()
    };
    repositories.iter().flat_map(with_digests).collect()
}

impl Images {
    /// Lists the images that pass all filters, in the order of the store. Of several filters with
    /// one key, one has to fit.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage); and as [`find`](Self::find), where a
    /// filter names an image.
    pub fn list(&self, filters: &[Filter]) -> Result<Vec<ImageSummary>> {
        let matcher = Matcher::new(self, filters)?;
        let mut containers: HashMap<Id, usize> = HashMap::new();
        for container in self.store().containers()? {
            if let Some(image) = &container.image {
                *containers.entry(image.clone()).or_default() += 1;
            }
        }
        let mut found = Vec::new();
        for (image, size_bytes) in self.store().images_with_sizes()? {
            let containers = containers.get(&image.id).copied().unwrap_or(0);
            if matcher.matches(&image, containers)? {
                found.push(ImageSummary { size_bytes, containers, created: image.created, image });
            }
        }
        Ok(found)
    }
}
