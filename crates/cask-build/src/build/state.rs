//! What a stage has become so far.

use std::collections::BTreeMap;

use cask_containerfile::{Dialect, StageScope};
use cask_image::{
    Digest, HistoryEntry, ImageConfig, Manifest, PlatformWanted, RawManifest, Timestamp,
};
use cask_storage::{Id, Image, Store};

use super::headers::{headers, unreadable};
use super::remote::InlineStep;
use super::tools::BaseImage;
use crate::cache::LayerFact;
use crate::{Error, ErrorKind, Result, config};

/// What a stage has become so far: a config, layers, and the variables that hold.
#[derive(Clone, Debug)]
pub(crate) struct StageState {
    pub(crate) config: ImageConfig,
    pub(crate) scope: StageScope,
    /// The layers in the store, the base first, and the sizes of their tar streams.
    pub(crate) layers: Vec<(Id, u64)>,
    /// The date, in seconds since 1970, by what it is made of.
    pub(crate) date: i64,
    /// How many of the layers and of the entries of the history are the base image's.
    pub(crate) base_layers: usize,
    pub(crate) base_history: usize,
    /// How many the stage began with: those of the image or of the stage that it is upon.
    pub(crate) stage_layers: usize,
    pub(crate) stage_history: usize,
    /// The base image, for annotations; none for scratch.
    pub(crate) base: Option<BaseImage>,
    /// Whether this stage has a CMD of its own.
    pub(crate) has_cmd: bool,
    /// The annotations of the base image's manifest.
    pub(crate) annotations: BTreeMap<String, String>,
    /// The labels of the base image, to tell them from those of the file.
    pub(crate) inherited_labels: Vec<String>,
    /// What the next layer has besides.
    pub(crate) pending: Pending,
    /// The steps that made the layers of this file.
    pub(crate) made_by: Vec<InlineStep>,
}

/// Directories that the next layer has besides, in Buildah's dialect. Where there is none, the image does
/// not have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pending {
    /// Those of VOLUME.
    pub(crate) volumes: Vec<String>,
    /// That of the last WORKDIR.
    pub(crate) working: Option<String>,
}

impl Pending {
    /// All of them.
    pub(crate) fn directories(&self) -> impl Iterator<Item = &String> {
        self.volumes.iter().chain(&self.working)
    }
}

impl StageState {
    /// A stage that begins with nothing.
    pub(crate) fn scratch(platform: &PlatformWanted, dialect: Dialect) -> Self {
        let mut config = ImageConfig::new(&platform.os, &platform.architecture);
        config.variant = platform.variant.clone().filter(|variant| !variant.is_empty());
        config.config.working_dir = "/".to_owned();
        config::default_path(&mut config.config);
        let scope = StageScope::new(&config::environment(&config.config), dialect);
        Self {
            config,
            scope,
            layers: Vec::new(),
            date: 0,
            base_layers: 0,
            base_history: 0,
            stage_layers: 0,
            stage_history: 0,
            base: None,
            has_cmd: false,
            annotations: BTreeMap::new(),
            inherited_labels: Vec::new(),
            pending: Pending::default(),
            made_by: Vec::new(),
        }
    }

    /// A stage that begins with an image of the store.
    pub(crate) fn of_image(store: &Store, base: &BaseImage, dialect: Dialect) -> Result<Self> {
        let config = read_config(store, base)?;
        let storage = |error| Error::storage(error, &base.name);
        let image = store.image(&base.id).map_err(storage)?.ok_or_else(|| {
            Error::new(ErrorKind::Missing, &base.name, "the image is no longer in the store")
        })?;
        let mut layers = Vec::new();
        if let Some(top) = &image.top_layer {
            for layer in store.layer_chain(top).map_err(storage)?.into_iter().rev() {
                let size = match u64::try_from(layer.diff_size_bytes) {
                    Ok(size) => size,
                    // Peers may not have written it down.
                    Err(_) => stream_size(store, &layer.id)?,
                };
                layers.push((layer.id.clone(), size));
            }
        }
        if layers.len() != config.diff_ids.len() {
            let (named, found) = (config.diff_ids.len(), layers.len());
            return Err(Error::new(
                ErrorKind::Storage,
                &base.name,
                format!("the config names {named} layers, and the store has {found}"),
            )
            .with_hint("remove the image and fetch it again"));
        }
        let mut config = config;
        config::default_path(&mut config.config);
        let scope = StageScope::new(&config::environment(&config.config), dialect);
        let created = match (config.created, layers.last()) {
            (Some(created), _) => created.unix_seconds(),
            // An image that was put together by hand is as old as its newest file.
            (None, Some((top, _))) => newest_file(store, top)?,
            (None, None) => 0,
        };
        Ok(Self {
            scope,
            date: created.max(0),
            base_layers: layers.len(),
            base_history: config.history.len(),
            stage_layers: layers.len(),
            stage_history: config.history.len(),
            layers,
            base: Some(base.clone()),
            has_cmd: false,
            annotations: annotations(store, &image),
            inherited_labels: config.config.labels.keys().cloned().collect(),
            pending: Pending::default(),
            made_by: Vec::new(),
            config,
        })
    }

    /// A stage that begins with another one.
    pub(crate) fn of_stage(base: &Self) -> Self {
        let (scope, pending) = (StageScope::inherit(&base.scope), Pending::default());
        Self {
            scope,
            pending,
            has_cmd: false,
            stage_layers: base.layers.len(),
            stage_history: base.config.history.len(),
            ..base.clone()
        }
    }

    /// The uppermost layer.
    pub(crate) fn top(&self) -> Option<&Id> {
        self.layers.last().map(|(id, _)| id)
    }

    /// What keys name the files by: the uppermost layer, whose ID says what all layers are.
    pub(crate) fn files_key(&self) -> &str {
        self.top().map_or("scratch", Id::as_str)
    }

    /// Puts a layer on top.
    pub(crate) fn push_layer(&mut self, layer: &LayerFact) -> Id {
        let id = Id::of_layer(self.top(), &layer.diff_id);
        self.config.diff_ids.push(layer.diff_id.clone());
        self.layers.push((id.clone(), layer.size_bytes));
        id
    }

    /// Adds an entry to the history; its date is set when the image is made.
    pub(crate) fn push_history(&mut self, created_by: String, comment: String, empty_layer: bool) {
        let created = Timestamp::from_unix(self.date, 0);
        let author = String::new();
        let entry = HistoryEntry { created, created_by, author, comment, empty_layer };
        self.config.history.push(entry);
    }
}

/// The annotations of an image's manifest; none where it has no manifest that can be read.
fn annotations(store: &Store, image: &Image) -> BTreeMap<String, String> {
    let bytes = store.image_data(image, "manifest").ok();
    let manifest = bytes.and_then(|bytes| RawManifest::guess(bytes).ok()?.parse().ok());
    match manifest {
        Some(Manifest::Image(manifest)) => manifest.annotations.clone(),
        _ => BTreeMap::new(),
    }
}

/// The config of an image of the store.
pub(crate) fn read_config(store: &Store, base: &BaseImage) -> Result<ImageConfig> {
    let storage = |error| Error::storage(error, &base.name);
    let image = store.image(&base.id).map_err(storage)?.ok_or_else(|| {
        Error::new(ErrorKind::Missing, &base.name, "the image is no longer in the store")
    })?;
    let keys = image.big_data_names.iter();
    let key = keys.filter(|key| key.parse::<Digest>().is_ok()).find(|key| {
        let digest: Option<Digest> = key.parse().ok();
        digest.is_some_and(|digest| digest.hex() == image.id.as_str())
    });
    let key = key.or_else(|| image.big_data_names.iter().find(|key| key.parse::<Digest>().is_ok()));
    let Some(key) = key else {
        return Err(Error::new(ErrorKind::Invalid, &base.name, "it has no config")
            .with_hint("a base is an image, not a list or an artifact"));
    };
    let bytes = store.image_data(&image, key).map_err(storage)?;
    ImageConfig::parse(bytes).map_err(|error| {
        Error::new(ErrorKind::Storage, &base.name, "its config makes no sense").with_source(error)
    })
}

/// When the newest file of a layer changed, in seconds since 1970.
fn newest_file(store: &Store, id: &Id) -> Result<i64> {
    let mut members = headers(store, id)?;
    let mut newest = 0;
    while let Some(entry) = members.next_member().map_err(|error| unreadable(id, error))? {
        newest = newest.max(entry.member.modified.seconds);
    }
    Ok(newest)
}

/// The size of a layer's tar stream, by reading it.
fn stream_size(store: &Store, id: &Id) -> Result<u64> {
    let mut reader = store.read_layer(id).map_err(|error| Error::storage(error, id))?;
    std::io::copy(&mut reader, &mut std::io::sink()).map_err(|error| {
        Error::new(ErrorKind::Storage, format!("layer {id}"), "it cannot be read")
            .with_source(error)
    })
}
