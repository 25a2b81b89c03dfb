//! Results of earlier builds from elsewhere, and for elsewhere.

use std::collections::{BTreeMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use cask_image::{Manifest, PlatformWanted, RawManifest, Timestamp};
use cask_storage::Id;
use serde_json::{Value, json};

use super::engine::{Engine, lock};
use super::request::CacheExport;
use super::stage::{Ground, StageRun};
use super::state::{StageState, read_config};
use super::tools::BaseImage;
use crate::Result;
use crate::cache::{LayerFact, Record};
use crate::error::chain;
use crate::key::{Key, KeyParts};

/// The annotation that says when a step was done, in seconds since 1970.
const MADE: &str = "io.cask.cache.made";

/// The annotation of an image that names the steps that its layers are of.
pub(crate) const STEPS: &str = "io.cask.cache.steps";

/// A step that an image names whose layers are of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InlineStep {
    /// Its key.
    pub(crate) key: String,
    /// How many layers the image has as far as this step.
    pub(crate) layers: usize,
    /// Its date, in seconds since 1970.
    pub(crate) date: i64,
}

impl InlineStep {
    /// The annotation: `[["key", layers, date], …]`.
    pub(crate) fn encode(steps: &[Self]) -> String {
        let each = steps.iter().map(|step| json!([step.key, step.layers, step.date]));
        Value::from_iter(each).to_string()
    }

    /// The step with a key that an annotation names. What makes no sense names none.
    fn find(text: &str, key: &str) -> Option<Self> {
        let steps: Vec<(String, usize, i64)> = serde_json::from_str(text).ok()?;
        let (key, layers, date) = steps.into_iter().find(|(own, ..)| own == key)?;
        Some(Self { key, layers, date })
    }
}

/// Whether the annotations of an image say that one of its layers is of the step with a key: that image
/// is one that [`RemoteCache::fetch`] may give for it.
pub fn names_step(annotations: &BTreeMap<String, String>, key: &str) -> bool {
    annotations.get(STEPS).is_some_and(|text| InlineStep::find(text, key).is_some())
}

/// Results of earlier builds that are elsewhere: an image for every step, under the key of the step, or
/// images that name the steps that their layers are of.
#[async_trait]
pub trait RemoteCache: Send + Sync {
    /// Brings the image of a step into the store, without a name, or one that
    /// [names the step](crate::names_step); `None` where there is none.
    ///
    /// Called for every step that is not in the store's own cache, from several threads. The key is 64
    /// hexadecimal digits. What fails is told as a warning, and the step is done.
    ///
    /// # Errors
    /// [`ErrorKind::Fetch`](crate::ErrorKind::Fetch).
    async fn fetch(&self, key: &str, platform: &PlatformWanted) -> Result<Option<Id>>;
}

/// A step as an image of the store, to be put elsewhere for later builds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CachedStep {
    /// The key of the step: 64 hexadecimal digits.
    pub key: String,
    /// The image: the layers as far as this step, and no history.
    pub image: Id,
    /// Whether the store has the image for this alone: it is to be deleted when it is elsewhere. The
    /// layers stay.
    pub is_new: bool,
}

/// A step that shall go elsewhere.
#[derive(Debug)]
pub(crate) struct Export {
    key: Key,
    state: StageState,
    date: i64,
    made_seconds: u64,
}

/// The time, in seconds since 1970.
pub(crate) fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

impl StageRun<'_> {
    /// Notes a step whose layer is the uppermost now, where it shall go elsewhere.
    pub(super) fn note_export(&self, record: &Record) {
        let wanted = match self.engine.request.cache.export {
            None => false,
            Some(CacheExport::Target) => self.engine.platform(self.id).target == self.id.1,
            Some(CacheExport::All) => true,
        };
        if wanted {
            let (key, state) = (record.key.clone(), self.state.clone());
            let (date, made_seconds) = (record.date, record.made_seconds);
            lock(&self.engine.exports).push(Export { key, state, date, made_seconds });
        }
    }

    /// The record of a step that was done elsewhere, with its layer in the store.
    pub(super) fn fetch_record(&self, parts: &KeyParts, ground: Ground) -> Option<Record> {
        let engine = self.engine;
        let remote = engine.tools.remote_cache.as_ref()?;
        let key = parts.key();
        let platform = &engine.platform(self.id).bases[self.id.1].platform;
        let id = match engine.runtime.block_on(remote.fetch(key.as_str(), platform)) {
            Ok(found) => found?,
            Err(error) => {
                engine.warn(None, format!("a remote cache cannot be used: {}", chain(&error)));
                return None;
            }
        };
        lock(&engine.fetched).push(id.clone());
        let record = self.record_of(&id, parts, ground);
        if record.is_none() {
            let message = format!("what the remote cache has under {key} is not this step");
            engine.warn(Some(&self.step), message);
        }
        record
    }

    /// The record that an image of the store is, if it is the result of this step upon this stage.
    fn record_of(&self, id: &Id, parts: &KeyParts, ground: Ground) -> Option<Record> {
        let store = &self.engine.tools.store;
        let image = store.image(id).ok()??;
        let config = read_config(store, &BaseImage::new(id.clone(), id.as_str(), None)).ok()?;
        let manifest = store.image_data(&image, "manifest").ok();
        let manifest = manifest.and_then(|bytes| RawManifest::guess(bytes).ok()?.parse().ok());
        let annotations = match manifest {
            Some(Manifest::Image(manifest)) => manifest.annotations,
            _ => BTreeMap::new(),
        };
        let named = annotations.get(STEPS);
        let named = named.and_then(|text| InlineStep::find(text, parts.key().as_str()));
        let chain = store.layer_chain(image.top_layer.as_ref()?).ok()?;
        let count = named.as_ref().map_or(chain.len(), |step| step.layers);
        let (top, below) = chain[chain.len().checked_sub(count)?..].split_first()?;
        let own = self.state.layers.iter().rev().map(|(id, _)| id);
        if ground == Ground::Stage && !below.iter().map(|layer| &layer.id).eq(own) {
            return None;
        }
        let diff_id = config.diff_ids.get(count.checked_sub(1)?)?.clone();
        let size_bytes = u64::try_from(top.diff_size_bytes).ok()?;
        let fact = LayerFact { diff_id, size_bytes };
        let mut record = Record::new(parts, self.state.top(), Some(&fact));
        record.date = match &named {
            Some(step) => step.date,
            None => config.created?.unix_seconds(),
        };
        let made = annotations.get(MADE).and_then(|text| text.parse().ok());
        // When an image was made that names its steps is not in it: only its own date.
        let made = made.or_else(|| u64::try_from(record.date).ok().filter(|_| named.is_some()));
        record.made_seconds = made.unwrap_or(record.made_seconds);
        record.text.clone_from(&self.step.text);
        record.stage.clone_from(&self.step.stage_name);
        record.number = self.step.number;
        Some(record)
    }
}

impl Engine {
    /// Makes images of the steps that shall go elsewhere.
    pub(crate) fn export_steps(&self) -> Vec<CachedStep> {
        let exports = std::mem::take(&mut *lock(&self.exports));
        if exports.is_empty() {
            return Vec::new();
        }
        let known = self.tools.store.images().unwrap_or_default();
        let known: HashSet<Id> = known.into_iter().map(|image| image.id.clone()).collect();
        let mut steps: BTreeMap<String, CachedStep> = BTreeMap::new();
        for export in exports {
            let mut config = export.state.config.clone();
            config.created = Timestamp::from_unix(export.date, 0);
            // It has a layer that no entry is about yet.
            config.history.clear();
            let made = BTreeMap::from([(MADE.to_owned(), export.made_seconds.to_string())]);
            match self.commit(&export.state, config, made, Vec::new()) {
                Ok(image) => {
                    let key = export.key.to_string();
                    let is_new = !known.contains(&image.id);
                    steps.insert(key.clone(), CachedStep { key, image: image.id, is_new });
                }
                Err(error) => {
                    self.warn(None, format!("a step cannot be kept elsewhere: {error}"));
                }
            }
        }
        steps.into_values().collect()
    }

    /// Takes away the images that steps came as; their layers are in those that were built.
    pub(crate) fn forget_fetched(&self) {
        let store = &self.tools.store;
        for id in std::mem::take(&mut *lock(&self.fetched)) {
            if let Ok(Some(image)) = store.image(&id)
                && image.names.is_empty()
            {
                // Nobody needs it: that it stays does no harm.
                let _ = store.delete_image(&id);
            }
        }
    }
}
