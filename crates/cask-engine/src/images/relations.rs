//! Which image was built on which.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cask_image::{HistoryEntry, ImageConfig};
use cask_storage::{Id, Image};

use crate::{Images, Result};

/// How the images of a store hang together, as they were when this was asked for.
///
/// Source: containers/common, `libimage/layer_tree.go`.
#[derive(Debug)]
pub struct Relations<'i> {
    images: &'i Images,
    all: Vec<Image>,
    /// The images of which a layer is the top one, as positions in `all`.
    by_top_layer: HashMap<Id, Vec<usize>>,
    /// Images without layers that are no lists.
    without_layers: Vec<usize>,
    parent_layers: HashMap<Id, Id>,
    child_layers: HashMap<Id, Vec<Id>>,
    /// Configs that were read; those that cannot be read belong to nobody's family.
    configs: RefCell<HashMap<Id, Option<Arc<ImageConfig>>>>,
}

impl Images {
    /// Looks at how the images hang together.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage).
    pub fn relations(&self) -> Result<Relations<'_>> {
        let all = self.store().images()?;
        let mut relations = Relations {
            images: self,
            by_top_layer: HashMap::new(),
            without_layers: Vec::new(),
            parent_layers: HashMap::new(),
            child_layers: HashMap::new(),
            configs: RefCell::default(),
            all,
        };
        for (position, image) in relations.all.iter().enumerate() {
            match &image.top_layer {
                Some(top) => {
                    relations.by_top_layer.entry(top.clone()).or_default().push(position);
                }
                None => relations.without_layers.push(position),
            }
        }
        for layer in self.store().layers()? {
            let Some(parent) = &layer.parent else { continue };
            relations.parent_layers.insert(layer.id.clone(), parent.clone());
            relations.child_layers.entry(parent.clone()).or_default().push(layer.id.clone());
        }
        Ok(relations)
    }

    /// Whether somebody has removed an image meanwhile.
    pub(super) fn is_gone(&self, image: &Image) -> bool {
        self.store().image(&image.id).is_ok_and(|found| found.is_none())
    }
}

impl Relations<'_> {
    /// The images.
    pub fn images(&self) -> &[Image] {
        &self.all
    }

    /// The image that an image was built on by one step, if it is here.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage) if the image's own config is damaged.
    pub fn parent(&self, image: &Image) -> Result<Option<&Image>> {
        let Some(child) = self.config(image)? else { return Ok(None) };
        let candidates = match &image.top_layer {
            None => self.without_layers.clone(),
            Some(top) => {
                let below = self.parent_layers.get(top);
                let layers = [Some(top), below].into_iter().flatten();
                layers.flat_map(|layer| self.of_layer(layer)).copied().collect()
            }
        };
        let found = candidates.into_iter().map(|position| &self.all[position]).find(|candidate| {
            candidate.id != image.id
                && self.readable_config(candidate).is_some_and(|parent| is_parent(&parent, &child))
        });
        Ok(found)
    }

    /// The images that were built on an image by one step.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage) if the image's own config is damaged.
    pub fn children(&self, image: &Image) -> Result<Vec<&Image>> {
        let Some(parent) = self.config(image)? else { return Ok(Vec::new()) };
        let candidates: Vec<usize> = match &image.top_layer {
            None => self.without_layers.clone(),
            Some(top) => {
                let above = self.child_layers.get(top).into_iter().flatten();
                let layers = std::iter::once(top).chain(above);
                layers.flat_map(|layer| self.of_layer(layer)).copied().collect()
            }
        };
        let children = candidates.into_iter().map(|position| &self.all[position]);
        let is_child = |candidate: &&Image| {
            candidate.id != image.id
                && self.readable_config(candidate).is_some_and(|child| is_parent(&parent, &child))
        };
        Ok(children.filter(is_child).collect())
    }

    /// Whether an image has no name, and no other was built on it.
    ///
    /// # Errors
    /// As [`children`](Self::children).
    pub fn is_dangling(&self, image: &Image) -> Result<bool> {
        Ok(image.names.is_empty() && self.children(image)?.is_empty())
    }

    /// Whether an image has no name, and another was built on it.
    ///
    /// # Errors
    /// As [`children`](Self::children).
    pub fn is_intermediate(&self, image: &Image) -> Result<bool> {
        Ok(image.names.is_empty() && !self.children(image)?.is_empty())
    }

    /// The images of which a layer is the top one.
    pub fn with_top_layer(&self, layer: &Id) -> impl Iterator<Item = &Image> {
        self.of_layer(layer).iter().map(|position| &self.all[*position])
    }

    /// The layers right above a layer.
    pub(super) fn layers_above(&self, layer: &Id) -> &[Id] {
        self.child_layers.get(layer).map_or(&[], Vec::as_slice)
    }

    /// Whether others stand on the layer that a layer stands on.
    pub(super) fn has_siblings(&self, layer: &Id) -> bool {
        self.parent_layers.get(layer).is_some_and(|below| self.layers_above(below).len() > 1)
    }

    fn of_layer(&self, layer: &Id) -> &[usize] {
        self.by_top_layer.get(layer).map_or(&[], Vec::as_slice)
    }

    fn config(&self, image: &Image) -> Result<Option<Arc<ImageConfig>>> {
        if let Some(known) = self.configs.borrow().get(&image.id) {
            return Ok(known.clone());
        }
        let config = match self.images.config(image) {
            Err(_) if self.images.is_gone(image) => None,
            config => config?.map(Arc::new),
        };
        self.configs.borrow_mut().insert(image.id.clone(), config.clone());
        Ok(config)
    }

    fn readable_config(&self, image: &Image) -> Option<Arc<ImageConfig>> {
        self.config(image).unwrap_or_else(|_| {
            self.configs.borrow_mut().insert(image.id.clone(), None);
            None
        })
    }

    /// Takes images out, for what follows.
    pub(super) fn forget(&mut self, gone: &HashSet<Id>) {
        let kept: Vec<Image> =
            self.all.drain(..).filter(|image| !gone.contains(&image.id)).collect();
        self.all = kept;
        self.by_top_layer.clear();
        self.without_layers.clear();
        for (position, image) in self.all.iter().enumerate() {
            match &image.top_layer {
                Some(top) => self.by_top_layer.entry(top.clone()).or_default().push(position),
                None => self.without_layers.push(position),
            }
        }
    }
}

/// Whether the history of one is that of the other without the last step, and the layers fit.
///
/// Source: containers/common, `libimage/oci.go`, `areParentAndChild`.
fn is_parent(parent: &ImageConfig, child: &ImageConfig) -> bool {
    let same = |one: &HistoryEntry, other: &HistoryEntry| {
        one.created == other.created
            && one.created_by == other.created_by
            && one.author == other.author
            && one.comment == other.comment
            && one.empty_layer == other.empty_layer
    };
    parent.history.len() + 1 == child.history.len()
        && child.diff_ids.starts_with(&parent.diff_ids)
        && parent.history.iter().zip(&child.history).all(|(one, other)| same(one, other))
}
