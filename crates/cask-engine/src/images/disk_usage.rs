//! How much space images take.

use std::collections::HashMap;

use cask_storage::{Id, Image};

use crate::{Images, Result};

/// How much space the images of a store take.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DiskUsage {
    /// Each image.
    pub images: Vec<ImageUsage>,
    /// The bytes of all layers, each counted once, and of the files of images.
    pub size_bytes: u64,
    /// The bytes that removing all images that no container uses would free.
    pub reclaimable_bytes: u64,
    /// How many containers there are.
    pub containers: usize,
}

/// How much space an image takes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImageUsage {
    /// The image.
    pub image: Image,
    /// Bytes of layers that other images have too.
    pub shared_bytes: u64,
    /// Bytes that only this image has.
    pub unique_bytes: u64,
    /// How many containers were made from it.
    pub containers: usize,
}

impl ImageUsage {
    /// All bytes of the image.
    pub fn size_bytes(&self) -> u64 {
        self.shared_bytes + self.unique_bytes
    }
}

impl Images {
    /// Says how much space images take.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage).
    pub fn disk_usage(&self) -> Result<DiskUsage> {
        let images = self.store().images()?;
        let mut sizes: HashMap<Id, u64> = HashMap::new();
        let mut users: HashMap<Id, usize> = HashMap::new();
        let mut chains = Vec::with_capacity(images.len());
        for image in &images {
            let chain = match &image.top_layer {
                Some(top) => self.store().layer_chain(top)?,
                None => Vec::new(),
            };
            for layer in &chain {
                sizes.insert(layer.id.clone(), u64::try_from(layer.diff_size_bytes).unwrap_or(0));
                *users.entry(layer.id.clone()).or_default() += 1;
            }
            chains.push(chain);
        }
        let containers = self.store().containers()?;
        let mut usage = DiskUsage {
            images: Vec::new(),
            size_bytes: sizes.values().sum(),
            reclaimable_bytes: 0,
            containers: containers.len(),
        };
        let mut needed: HashMap<Id, u64> = HashMap::new();
        for (image, chain) in images.into_iter().zip(chains) {
            let files = u64::try_from(image.big_data_sizes.values().sum::<i64>()).unwrap_or(0);
            let (mut shared_bytes, mut unique_bytes) = (0, files);
            let users_of_image =
                containers.iter().filter(|c| c.image.as_ref() == Some(&image.id)).count();
            for layer in &chain {
                let size = sizes.get(&layer.id).copied().unwrap_or(0);
                match users.get(&layer.id) {
                    Some(1) => unique_bytes += size,
                    _ => shared_bytes += size,
                }
                if users_of_image > 0 {
                    needed.insert(layer.id.clone(), size);
                }
            }
            usage.size_bytes += files;
            if users_of_image == 0 {
                usage.reclaimable_bytes += files;
            }
            let containers = users_of_image;
            usage.images.push(ImageUsage { image, shared_bytes, unique_bytes, containers });
        }
        let layers: u64 = sizes.values().sum();
        usage.reclaimable_bytes += layers - needed.values().sum::<u64>();
        Ok(usage)
    }
}
