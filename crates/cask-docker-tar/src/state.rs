//! What a writer knows of the archive so far.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cask_image::{Descriptor, Digest};
use cask_reference::Reference;

use crate::json::{Item, Repositories};

/// The name of an image in an index, as the OCI specification has it.
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The same, as containerd and Docker have it.
pub(crate) const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// The images and layers of an archive that is being written.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) items: Vec<Item>,
    /// Repository, tag, and the legacy ID of the topmost layer.
    pub(crate) repositories: Repositories,
    /// The entries of `index.json`.
    pub(crate) index: Vec<Descriptor>,
    layers: HashMap<Digest, LayerState>,
}

/// A layer in the archive, or on its way there.
#[derive(Clone, Debug)]
pub(crate) struct LayerState {
    /// The member that holds it.
    pub(crate) member: String,
    /// The size of the bytes that have the digest; none while that is not known.
    pub(crate) size: Option<u64>,
    /// Whether its bytes were seen to have the digest.
    pub(crate) is_verified: bool,
}

/// Locks, even if another thread panicked: what is in there is valid after every step.
pub(crate) fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// What an archive holds that is added to.
    pub(crate) fn of_items(items: Vec<Item>) -> Self {
        Self { items, ..Self::default() }
    }

    pub(crate) fn layer(&self, digest: &Digest) -> Option<&LayerState> {
        self.layers.get(digest)
    }

    pub(crate) fn begin_layer(&mut self, digest: &Digest, member: String) {
        let layer = LayerState { member, size: None, is_verified: true };
        self.layers.insert(digest.clone(), layer);
    }

    /// A layer of the archive that is being added to; nobody has looked at its bytes yet.
    pub(crate) fn take_over_layer(&mut self, digest: &Digest, member: String) {
        let layer = LayerState { member, size: None, is_verified: false };
        self.layers.entry(digest.clone()).or_insert(layer);
    }

    pub(crate) fn layer_is_written(&mut self, digest: &Digest, size: u64) {
        if let Some(layer) = self.layers.get_mut(digest) {
            layer.size = Some(size);
        }
    }

    pub(crate) fn layer_is_verified(&mut self, digest: &Digest, size: u64) {
        if let Some(layer) = self.layers.get_mut(digest) {
            layer.is_verified = true;
            layer.size = Some(size);
        }
    }

    pub(crate) fn forget_layer(&mut self, digest: &Digest) {
        self.layers.remove(digest);
    }

    /// Adds an image, or names to an image that is there already. A name means one image only:
    /// whichever had it before loses it.
    pub(crate) fn add_item(&mut self, item: Item, names: &[Reference]) {
        for item in &mut self.items {
            item.repo_tags.retain(|tag| !names.iter().any(|name| is_same(tag, name)));
        }
        let held = self
            .items
            .iter()
            .position(|held| held.config == item.config && held.layers == item.layers);
        let position = held.unwrap_or(self.items.len());
        if held.is_none() {
            self.items.push(item);
        }
        for name in names {
            let tag = name.to_string();
            let tags = &mut self.items[position].repo_tags;
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
    }

    /// Adds the topmost layer of an image to what Docker before 1.10 reads.
    pub(crate) fn add_to_repositories(&mut self, names: &[Reference], top: &str) {
        for name in names {
            let Some(tag) = name.tag() else { continue };
            let tags = self.repositories.entry(name.name().to_owned()).or_default();
            tags.insert(tag.as_str().to_owned(), top.to_owned());
        }
    }

    /// Adds an image to `index.json`: once for each name, or once without.
    pub(crate) fn add_to_index(&mut self, manifest: &Descriptor, names: &[Reference]) {
        for entry in &mut self.index {
            let lost = |key: &str, entry: &Descriptor| {
                entry
                    .annotations
                    .get(key)
                    .is_some_and(|old| names.iter().any(|name| is_same(old, name)))
            };
            if lost(CONTAINERD_NAME, entry) || lost(REF_NAME, entry) {
                entry.annotations.remove(CONTAINERD_NAME);
                entry.annotations.remove(REF_NAME);
            }
        }
        // An entry that lost its name is only of use to an image that has none at all.
        let is_named = |entry: &Descriptor| entry.annotations.contains_key(REF_NAME);
        let is_this = |entry: &Descriptor| entry.digest == manifest.digest;
        self.index.retain(|entry| !is_this(entry) || is_named(entry));
        if names.is_empty() && !self.index.iter().any(is_this) {
            self.index.push(manifest.clone());
        }
        for name in names {
            let mut entry = manifest.clone();
            // Both say all of it: an archive may hold several repositories.
            for key in [CONTAINERD_NAME, REF_NAME] {
                entry.annotations.insert(key.to_owned(), name.to_string());
            }
            self.index.push(entry);
        }
    }
}

/// Whether a name in an archive, which may be a short one, is the given one.
fn is_same(text: &str, name: &Reference) -> bool {
    Reference::parse_normalized(text).is_ok_and(|parsed| parsed == *name)
}
