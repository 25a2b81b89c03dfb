//! Base images that nobody deletes while a build needs them, and users that nobody else gets meanwhile.
//!
//! As with peers, a container in the store holds them. It is noted in the directory of the build,
//! so that the next one takes away what a build held that was killed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use cask_storage::{ChosenIds, Id, NewContainer, Store};

use super::engine::lock;
use super::tools::BaseImage;

/// What the name of a holding container begins with; the same in the directory of the build.
const PREFIX: &str = "cask-build-holds-";

/// The images that a build holds, until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    held: Mutex<BTreeMap<Id, Option<Hold>>>,
}

impl Holds {
    /// Holds images that are not held yet. One that cannot be held can still be built upon.
    pub(crate) fn hold(&self, store: &Store, scratch: &Path, images: &[BaseImage]) {
        let mut held = lock(&self.held);
        for image in images {
            held.entry(image.id.clone()).or_insert_with(|| {
                Hold::new(store, scratch, NewContainer::new(Some(image.id.clone())))
            });
        }
    }
}

/// What is held, until it is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    store: Store,
    container: Id,
}

impl Hold {
    /// Keeps others from choosing the same users.
    pub(crate) fn of_users(store: &Store, scratch: &Path, chosen: &ChosenIds) -> Option<Self> {
        let mut container = NewContainer::new(None);
        container.uid_map.clone_from(&chosen.uids);
        container.gid_map.clone_from(&chosen.gids);
        Self::new(store, scratch, container)
    }

    fn new(store: &Store, scratch: &Path, mut container: NewContainer) -> Option<Self> {
        let name = format!("{PREFIX}{}", container.id.as_str());
        // Before it is there: whoever finds the note finds at worst no container.
        fs::write(scratch.join(&name), "").ok()?;
        container.names = vec![name];
        container.volatile = true;
        let container = store.create_container(&container).ok()?.id.clone();
        Some(Self { store: store.clone(), container })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Somebody may have forced it away.
        let _ = self.store.delete_container(&self.container);
    }
}

/// Takes away what a build held that is dead, by its directory.
pub(crate) fn release(store: &Store, directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if let Some(Ok(id)) = id.map(Id::parse) {
            let _ = store.delete_container(&id);
        }
    }
}
