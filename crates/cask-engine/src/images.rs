//! Images as their user sees them.

pub(crate) mod artifacts;
mod changes;
mod details;
mod disk_usage;
mod filter;
mod find;
mod history;
mod import;
mod list;
mod lists;
mod load;
mod moving;
mod names;
mod platforms;
mod pull;
mod push;
mod relations;
mod remove;
mod save;
mod tree;

use std::fmt;
use std::sync::Arc;

use cask_config::registries::RegistriesConf;
use cask_image::{Descriptor, Digest, ImageConfig, Manifest, MediaType, RawManifest};
use cask_storage::{Image, Store};

use crate::{Error, ErrorKind, EventLog, Result};

pub use artifacts::{Artifact, ArtifactConfig, ArtifactFile, ArtifactOptions};
pub use changes::config_of_changes;
pub use details::ImageDetails;
pub use disk_usage::{DiskUsage, ImageUsage};
pub use filter::{Filter, parse_moment};
pub use find::Found;
pub use history::HistoryEntry;
pub use import::ImportOptions;
pub use list::ImageSummary;
pub(crate) use list::digest as digest_of;
pub use lists::{Entries, EntryChange, FoundEntries, ImageList, NewEntry, SamePlatform};
pub use load::{LoadInput, LoadOptions};
pub use moving::Arrived;
pub(crate) use moving::on_thread;
pub use names::whole_name;
pub use pull::{AskShortName, PullEvent, PullOptions, PullPolicy};
pub use relations::Relations;
pub use remove::{Prune, Removal, Removed};
pub use save::{SaveFormat, SaveOptions};
pub use tree::{ImageTree, TreeLayer};

/// Gives the configuration of registries, which says what short names mean. Asked when it is first
/// needed.
pub type Registries =
    Arc<dyn Fn() -> std::result::Result<Arc<RegistriesConf>, cask_config::Error> + Send + Sync>;

/// No registries: a short name means an image of `localhost`.
pub fn no_registries() -> Registries {
    Arc::new(|| Ok(Arc::default()))
}

/// The images of a store. Cheap to clone.
#[derive(Clone)]
pub struct Images {
    store: Store,
    registries: Registries,
    events: EventLog,
}

impl Images {
    /// Looks at the images of a store.
    pub fn new(store: Store, registries: Registries) -> Self {
        Self { store, registries, events: EventLog::default() }
    }

    /// Has what is done be told elsewhere than in the store's own file.
    #[must_use]
    pub fn with_events_in(mut self, events: EventLog) -> Self {
        self.events = events;
        self
    }

    /// Where it is told what is done.
    pub fn event_log(&self) -> &EventLog {
        &self.events
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The manifest of an image: of a list, the list.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] if it is missing, damaged or no manifest.
    pub fn manifest(&self, image: &Image) -> Result<(RawManifest, Manifest)> {
        let damaged = |error| {
            Error::new(ErrorKind::Storage, &image.id, "parsing its manifest").with_source(error)
        };
        let bytes = self.store.image_data(image, "manifest")?;
        let raw = RawManifest::guess(bytes).map_err(damaged)?;
        let parsed = raw.parse().map_err(damaged)?;
        Ok((raw, parsed))
    }

    /// The config of an image, with what an image of Docker's old kind says in its manifest; `None`
    /// for lists and artifacts.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] if it is missing or damaged.
    pub fn config(&self, image: &Image) -> Result<Option<ImageConfig>> {
        let Some(digest) = config_digest(self, image)? else { return Ok(None) };
        let bytes = self.store.image_data(image, digest.as_str())?;
        match ImageConfig::parse(bytes) {
            Ok(config) => Ok(Some(config)),
            Err(error) => {
                Err(Error::new(ErrorKind::Storage, &image.id, "parsing its config")
                    .with_source(error))
            }
        }
    }
}

impl fmt::Debug for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Images").field(&self.store.graph_root()).finish()
    }
}

/// Which of an image's files is the config.
fn config_digest(images: &Images, image: &Image) -> Result<Option<Digest>> {
    // The ID is the digest, and nearly always there; otherwise the manifest knows.
    let by_id = format!("sha256:{}", image.id);
    if image.big_data_names.contains(&by_id)
        && let Ok(digest) = by_id.parse()
    {
        return Ok(Some(digest));
    }
    if !image.big_data_names.iter().any(|name| name == "manifest") {
        return Ok(None);
    }
    let (_, manifest) = images.manifest(image)?;
    Ok(match manifest {
        Manifest::Image(manifest) if is_config(&manifest.config) => Some(manifest.config.digest),
        _ => None,
    })
}

fn is_config(descriptor: &Descriptor) -> bool {
    matches!(descriptor.media_type, MediaType::OciConfig | MediaType::DockerConfig)
}
