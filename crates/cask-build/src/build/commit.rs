//! From what a stage has become to an image of the store.

use std::collections::{BTreeMap, HashSet};

use cask_containerfile::Behavior;
use cask_image::{
    Algorithm, Descriptor, Hasher, ImageConfig, ImageFormat, ImageManifest, LayerCompression,
    Manifest, MediaType, PlatformWanted, RawManifest, Timestamp,
};
use cask_storage::{Id, NewImage, NewLayer};
use serde_json::{Value, json};

use super::engine::{Engine, StageId, lock};
use super::remote::{InlineStep, STEPS};
use super::report::BuiltImage;
use super::request::{ImageOptions, InheritAnnotations, LayerMode, SavedStages};
use super::state::{StageState, read_config};
use super::tools::BaseImage;
use crate::{Error, ErrorKind, Result, config};

/// The annotations that name the base image.
///
/// Source: OCI image specification, `annotations.md`.
const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";
const BASE_NAME: &str = "org.opencontainers.image.base.name";

/// Those of a second.
const NANOSECONDS: u32 = 1_000_000_000;

/// The annotation that dates an image. Source: as above.
const CREATED: &str = "org.opencontainers.image.created";

impl Engine {
    /// Makes the image of the target of a platform, and gives it its names.
    pub(crate) fn commit_target(&self, platform: usize) -> Result<BuiltImage> {
        let id = (platform, self.plan.platforms[platform].target);
        let state = self.stage(id).ok_or_else(|| super::stage::unbuilt(id.1))?;
        let state = match self.request.image.layers {
            LayerMode::Each => state.clone(),
            mode => self.squash(state, mode)?,
        };
        let names = match self.plan.platforms.len() {
            1 => self.request.image.names.clone(),
            _ => Vec::new(),
        };
        let mut config = self.target_config(&state);
        let platforms = &self.request.platforms;
        if platforms.are_named {
            be_for(&mut config, &platforms.targets[platform]);
        }
        if let Some(base) = self.unchanged_base(&state, &config)? {
            return self.name_base(base, config, names);
        }
        let mut annotations = self.annotations(&state);
        self.name_steps(&state, &mut annotations);
        self.commit(&state, config, annotations, names)
    }

    /// The base image and its manifest, where the file and the caller change nothing of it.
    ///
    /// Source: buildah, `imagebuildah/stage_executor.go`, `Execute`, which takes the base itself then.
    fn unchanged_base(
        &self,
        state: &StageState,
        config: &ImageConfig,
    ) -> Result<Option<(BaseImage, RawManifest)>> {
        let options = &self.request.image;
        let edits = &options.edits;
        let keeps_annotations = edits.annotations.is_empty()
            && edits.remove_annotations.is_empty()
            && edits.inherit_annotations == InheritAnnotations::Keep
            && !options.created_annotation
            && !self.request.cache.inline;
        let Some(base) = state.base.as_ref().filter(|_| keeps_annotations) else { return Ok(None) };
        if state.layers.len() != state.base_layers
            || config.history.len() != state.base_history
            || options.layers == LayerMode::SquashAll
        {
            return Ok(None);
        }
        let mut before = read_config(&self.tools.store, base)?;
        config::default_path(&mut before.config);
        if self.pinned_date().is_none() {
            // What is by its own date is not older or newer.
            before.created = config.created;
        }
        if before.encode() != config.encode() {
            return Ok(None);
        }
        let storage = |error| Error::storage(error, &base.name);
        let Some(image) = self.tools.store.image(&base.id).map_err(storage)? else {
            return Ok(None);
        };
        // Peers may have put it together by hand.
        let Ok(bytes) = self.tools.store.image_data(&image, "manifest") else { return Ok(None) };
        let manifest = RawManifest::guess(bytes).ok().filter(|manifest| {
            let may_be = |format| options.keeps_format_of_base || format == options.format;
            matches!(manifest.parse(), Ok(Manifest::Image(found)) if may_be(found.format))
        });
        Ok(manifest.map(|manifest| (base.clone(), manifest)))
    }

    fn name_base(
        &self,
        (base, manifest): (BaseImage, RawManifest),
        config: ImageConfig,
        names: Vec<String>,
    ) -> Result<BuiltImage> {
        let store = &self.tools.store;
        let storage = |error| Error::storage(error, &base.name);
        if !names.is_empty() {
            store.add_names(&base.id, &names).map_err(storage)?;
        }
        let image = store.image(&base.id).map_err(storage)?;
        let mut layers = Vec::new();
        if let Some(top) = image.and_then(|image| image.top_layer.clone()) {
            let chain = store.layer_chain(&top).map_err(storage)?;
            layers = chain.iter().rev().map(|layer| layer.id.clone()).collect();
        }
        Ok(BuiltImage { platform: config.platform(), id: base.id, manifest, config, names, layers })
    }

    fn target_config(&self, state: &StageState) -> ImageConfig {
        let options = &self.request.image;
        let mut config = state.config.clone();
        config.created = self.created(state);
        if let Some(date) = self.pinned_date() {
            let created = Timestamp::from_unix(date, 0);
            let base = state.base_history.min(config.history.len());
            config.history[base..].iter_mut().for_each(|entry| entry.created = created);
        }
        let edits = &options.edits;
        config.os_version = edits.os_version.clone().or(config.os_version);
        for feature in &edits.os_features {
            let name = feature.strip_suffix('-').unwrap_or(feature);
            config.os_features.retain(|own| own != name);
            if name == feature {
                config.os_features.push(feature.clone());
            }
        }
        if options.omit_history {
            config.history.clear();
        }
        let keeps = self.request.dialect.does(Behavior::OciKeepsDockerFields);
        if options.format == ImageFormat::Oci && !keeps {
            for name in config::docker_only(&config) {
                let message = format!(
                    "{name} is not supported for OCI image format and will be ignored. Must use `docker` format"
                );
                self.warn(None, message);
            }
            config::remove_docker_only(&mut config);
        }
        config
    }

    /// The date of the image. Images that differ in nothing but what the caller says of annotations differ in its
    /// nanoseconds: a store knows images by their config, and has one manifest for each.
    fn created(&self, state: &StageState) -> Option<Timestamp> {
        let is_pinned = self.pinned_date().is_some();
        let nanoseconds = if is_pinned { 0 } else { mark(&self.request.image) };
        Timestamp::from_unix(state.date, nanoseconds)
    }

    fn annotations(&self, state: &StageState) -> BTreeMap<String, String> {
        let options = &self.request.image;
        if options.format == ImageFormat::Docker {
            if !options.edits.annotations.is_empty() {
                self.warn(None, "annotations are left out: images in Docker's format have none");
            }
            return BTreeMap::new();
        }
        let mut annotations = match options.edits.inherit_annotations {
            InheritAnnotations::Keep => state.annotations.clone(),
            InheritAnnotations::Drop => BTreeMap::new(),
        };
        // It is about the base's own date.
        annotations.remove(CREATED);
        if let Some(base) = &state.base {
            // An image without a name has none to tell.
            if !base.name.starts_with("sha256:") && base.name != base.id.as_str() {
                annotations.insert(BASE_NAME.to_owned(), base.name.clone());
            }
            let digest = base.digest.as_ref();
            annotations.extend(digest.map(|digest| (BASE_DIGEST.to_owned(), digest.to_string())));
        }
        if options.created_annotation {
            let date = self.created(state).map(|date| date.to_string());
            annotations.extend(date.map(|date| (CREATED.to_owned(), date)));
        }
        for name in &options.edits.remove_annotations {
            annotations.remove(name);
        }
        annotations.extend(options.edits.annotations.iter().cloned());
        annotations
    }

    /// Has the image name the steps that its layers are of, where that is wanted.
    fn name_steps(&self, state: &StageState, annotations: &mut BTreeMap<String, String>) {
        let request = &self.request;
        let is_wanted = request.cache.inline && request.image.format == ImageFormat::Oci;
        if is_wanted && request.image.layers == LayerMode::Each && !state.made_by.is_empty() {
            annotations.insert(STEPS.to_owned(), InlineStep::encode(&state.made_by));
        }
    }

    /// Takes an image into the store whose layers are there.
    pub(crate) fn commit(
        &self,
        state: &StageState,
        config: ImageConfig,
        annotations: BTreeMap<String, String>,
        names: Vec<String>,
    ) -> Result<BuiltImage> {
        let store = &self.tools.store;
        let storage = |error| Error::storage(error, "the image");
        let bytes = encoded(&config, self.request.image.format, self.pinned_date().is_some())?;
        let manifest = self.manifest(state, &bytes, annotations)?;
        let id = Id::of_config(&Hasher::digest(Algorithm::Sha256, &bytes));
        let built = BuiltImage {
            platform: config.platform(),
            id: id.clone(),
            manifest: manifest.clone(),
            config,
            names: names.clone(),
            layers: state.layers.iter().map(|(id, _)| id.clone()).collect(),
        };
        if let Some(known) = store.image(&id).map_err(storage)?
            && known.manifest_digest() == Some(manifest.digest())
            && !known.is_read_only()
        {
            // A build that changes nothing writes nothing.
            let new: Vec<String> =
                names.into_iter().filter(|name| !known.names.contains(name)).collect();
            if !new.is_empty() {
                store.add_names(&id, &new).map_err(storage)?;
            }
            return Ok(built);
        }
        let mut image = NewImage::of_manifest(&manifest, &bytes).map_err(storage)?;
        image.names = names;
        image.layers = state.layers.iter().map(|(id, _)| NewLayer::Present(id.clone())).collect();
        store.commit_image(image).map_err(storage)?;
        Ok(built)
    }

    fn manifest(
        &self,
        state: &StageState,
        config: &[u8],
        annotations: BTreeMap<String, String>,
    ) -> Result<RawManifest> {
        let format = self.request.image.format;
        let digest = Hasher::digest(Algorithm::Sha256, config);
        let config = Descriptor::new(format.config_type(), digest, config.len() as u64);
        let layer_type = match format {
            ImageFormat::Oci => MediaType::OciLayer(LayerCompression::None),
            ImageFormat::Docker => MediaType::DockerLayer(LayerCompression::None),
        };
        let (sizes, digests) = (&state.layers, &state.config.diff_ids);
        if sizes.len() != digests.len() {
            let detail = format!("{} layers, and {} digests of them", sizes.len(), digests.len());
            return Err(Error::new(ErrorKind::Storage, "the image", detail));
        }
        let layers = sizes.iter().zip(digests);
        let layers = layers
            .map(|((_, size), digest)| Descriptor::new(layer_type.clone(), digest.clone(), *size));
        let mut manifest = ImageManifest::new(format, config, layers.collect());
        manifest.annotations = annotations;
        Ok(manifest.encode())
    }

    /// Makes images of the stages before the targets, where that is wanted.
    pub(crate) fn save_stages(&self) -> Result<Vec<BuiltImage>> {
        if self.request.image.stages == SavedStages::No {
            return Ok(Vec::new());
        }
        let ids = self.done.keys().filter(|id| self.plan.platforms[id.0].target != id.1);
        let saved = ids.filter(|id| !self.plan.stages[id.1].steps.is_empty());
        saved.map(|id| self.save_stage(*id)).collect()
    }

    /// Makes an image of a stage that is done, once.
    pub(crate) fn save_stage(&self, id: StageId) -> Result<BuiltImage> {
        let _flight = self.saved_flights.enter(&id);
        if let Some(saved) = lock(&self.saved).get(&id) {
            return Ok(saved.clone());
        }
        let saved = self.image_of_stage(id)?;
        lock(&self.saved).insert(id, saved.clone());
        Ok(saved)
    }

    fn image_of_stage(&self, id: StageId) -> Result<BuiltImage> {
        let state = self.stage(id).ok_or_else(|| super::stage::unbuilt(id.1))?;
        let state = match self.request.image.layers {
            LayerMode::Each => state.clone(),
            mode => self.squash(state, mode)?,
        };
        let mut config = state.config.clone();
        config.created = Timestamp::from_unix(state.date, 0);
        self.commit(&state, config, BTreeMap::new(), Vec::new())
    }

    /// Keeps what no image has of the layers of this build: the tips become images without a name,
    /// as peers do, so that the store knows them and prunes them in its own time.
    pub(crate) fn keep_tips<'i>(&self, built: impl Iterator<Item = &'i BuiltImage>) {
        let mut kept: HashSet<Id> = built.flat_map(|image| image.layers.iter().cloned()).collect();
        let mut tips: Vec<StageState> =
            self.done.values().filter_map(|done| done.get().cloned()).collect();
        tips.append(&mut lock(&self.partial));
        // The longest first: it has the layers of those that it is built on.
        tips.sort_by_key(|state| std::cmp::Reverse(state.layers.len()));
        for state in tips {
            let Some(top) = state.top() else { continue };
            if state.layers.len() == state.base_layers || kept.contains(top) {
                continue;
            }
            let mut config = state.config.clone();
            config.created = Timestamp::from_unix(state.date, 0);
            // Of layers that were to become one, some may have no entry.
            let told = config.history.iter().filter(|entry| !entry.empty_layer).count();
            if told != config.diff_ids.len() {
                config.history.clear();
            }
            match self.commit(&state, config, BTreeMap::new(), Vec::new()) {
                Ok(image) => kept.extend(image.layers),
                Err(error) => {
                    self.warn(None, format!("layers cannot be kept for later builds: {error}"));
                }
            }
        }
    }
}

/// The text of a config. That of Docker's format says what its last container was like, as with buildah, and that of OCI
/// does not: a store knows images by their config, and keeps one manifest for each. Where the image is dated, it says
/// besides what that container was called, which is the same each time.
///
/// Source: buildah 1.41, `image.go`, `createConfigsAndManifests`.
fn encoded(config: &ImageConfig, format: ImageFormat, is_dated: bool) -> Result<Vec<u8>> {
    const KEY: &str = "container_config";
    let bytes = config.encode();
    let failed = |error| {
        Error::new(ErrorKind::Storage, "the image", "its config makes no sense").with_source(error)
    };
    let mut text: serde_json::Map<String, Value> =
        serde_json::from_slice(&bytes).map_err(failed)?;
    match format {
        ImageFormat::Docker => {
            let mut execution = text.get("config").cloned().unwrap_or_else(|| json!({}));
            if is_dated {
                execution["Hostname"] = "sandbox".into();
                execution["Domainname"] = "".into();
                text.insert("config".to_owned(), execution.clone());
            }
            text.insert(KEY.to_owned(), execution);
        }
        ImageFormat::Oci if text.remove(KEY).is_some() => {}
        ImageFormat::Oci => return Ok(bytes.to_vec()),
    }
    serde_json::to_vec(&text).map_err(failed)
}

/// A number for what the caller says of annotations: 0 for nothing.
fn mark(options: &ImageOptions) -> u32 {
    let edits = &options.edits;
    let drops = edits.inherit_annotations == InheritAnnotations::Drop;
    let is_usual = edits.annotations.is_empty()
        && edits.remove_annotations.is_empty()
        && !drops
        && !options.created_annotation;
    if is_usual || options.format == ImageFormat::Docker {
        return 0;
    }
    let said =
        json!([edits.annotations, edits.remove_annotations, drops, options.created_annotation]);
    let digest = Hasher::digest(Algorithm::Sha256, said.to_string().as_bytes());
    let first = u32::from_str_radix(&digest.hex()[..8], 16).unwrap_or_default();
    first % (NANOSECONDS - 1) + 1
}

/// Has an image say which platform it is for.
fn be_for(config: &mut ImageConfig, platform: &PlatformWanted) {
    let PlatformWanted { os, architecture, variant } = platform;
    let variant = variant.clone().filter(|variant| !variant.is_empty());
    let is_same = config.os == *os && config.architecture == *architecture;
    config.variant = variant.or(config.variant.take().filter(|_| is_same));
    config.os.clone_from(os);
    config.architecture.clone_from(architecture);
}
