//! Images made of working containers.

use cask_image::{
    Algorithm, Descriptor, Digest, Hasher, ImageFormat, ImageManifest, LayerCompression, MediaType,
    Platform, RawManifest, Timestamp,
};
use cask_layer::{DiffError, DiffOptions, Diffed, FileTimes, diff_changes, diff_tree, diff_upper};
use cask_storage::{DriverKind, Id, NewImage, NewLayer, StagedLayer, Taking};
use serde_json::{Value, json};

use super::WorkingContainer;
use super::change::{Changing, ConfigChange};
use super::extra::AddedFile;
use super::json::{Shape, encode};
use super::linked::ExtraLayer;
use super::state::{Kind, State};
use crate::restage::{LayerOutput, stage_stream};
use crate::{Error, ErrorKind, Result};

/// How a working container becomes an image.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CommitOptions {
    /// The names of the image in the store, with registry and tag.
    pub names: Vec<String>,
    /// The format of the image; `None` for the container's.
    pub format: Option<ImageFormat>,
    /// Makes one layer of all files, those of the base included.
    pub squash: bool,
    /// Leaves the history out of the config.
    pub omit_history: bool,
    /// When the image is made.
    pub now: Timestamp,
    /// What dates the image, its history and its files have instead.
    pub dates: WorkingDates,
    /// A label with the name and version of the builder.
    pub identity_label: Option<(String, String)>,
    /// What the image says otherwise than the container.
    pub changes: Vec<ConfigChange>,
    /// Variables that the image does not have.
    pub remove_environment: Vec<String>,
    /// Files that it has besides, in a layer of their own.
    pub added: Vec<AddedFile>,
}

impl CommitOptions {
    /// An image without a name, of all that the container has.
    pub fn new(now: Timestamp) -> Self {
        Self {
            names: Vec::new(),
            format: None,
            squash: false,
            omit_history: false,
            now,
            dates: WorkingDates::default(),
            identity_label: None,
            changes: Vec::new(),
            remove_environment: Vec::new(),
            added: Vec::new(),
        }
    }
}

/// What dates an image has instead of when it is made, in seconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkingDates {
    /// The date of the image and its history.
    pub source_date_epoch: Option<i64>,
    /// The same, and every file of the new layer gets it.
    pub timestamp: Option<i64>,
    /// Files of the new layer are not newer than the image.
    pub rewrite: bool,
}

impl WorkingDates {
    fn pinned(self) -> Option<i64> {
        self.timestamp.or(self.source_date_epoch)
    }

    fn file_times(self) -> FileTimes {
        match (self.timestamp, self.source_date_epoch) {
            (Some(seconds), _) => FileTimes::Set(seconds),
            (None, Some(seconds)) if self.rewrite => FileTimes::Clamp(seconds),
            _ => FileTimes::Keep,
        }
    }
}

/// An image that was made of a working container, and is in the store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CommittedImage {
    /// Its ID.
    pub id: Id,
    /// Its manifest.
    pub manifest: RawManifest,
    /// What it is for.
    pub platform: Platform,
    /// Whether the store had it before.
    pub was_there: bool,
    /// What the user is to be told.
    pub warnings: Vec<String>,
}

impl WorkingContainer {
    /// Makes an image of the container, in the store; the container stays as it is.
    ///
    /// What was written is read once, for its digests and for the new layer together. The layer of
    /// the container and that of the image are two: who goes on with the container does not change
    /// the image. Where the file system can, they share the blocks of their files.
    ///
    /// Nobody sees anything of the image before it is whole. With dates that are given, the same
    /// container gives the same image, byte for byte.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for changes that make no sense, and for files that cannot be in a
    /// layer; [`ErrorKind::Storage`] and [`ErrorKind::Io`].
    pub fn commit(&self, options: &CommitOptions) -> Result<CommittedImage> {
        self.commit_as(options, Taking::Copy)
    }

    /// Makes an image of the container, in the store, and removes the container: its files become
    /// those of the image, and none is copied. Nobody may use the container meanwhile.
    ///
    /// # Errors
    /// As [`commit`](Self::commit); the container stays then, and there is no image.
    pub fn commit_and_remove(&self, options: &CommitOptions) -> Result<CommittedImage> {
        let committed = self.commit_as(options, Taking::Link)?;
        let Err(error) = self.store.delete_container(self.id()) else { return Ok(committed) };
        if !committed.was_there {
            // The two must not have the same files.
            let removed = self.store.delete_image(&committed.id);
            removed.map_err(|error| Error::storage(error, committed.id.as_str()))?;
        }
        Err(Error::storage(error, format!("removing container {:?}", self.name())))
    }

    fn commit_as(&self, options: &CommitOptions, taking: Taking) -> Result<CommittedImage> {
        let (state, warnings) = self.final_state(options)?;
        let base = self.base_layers(options)?;
        let staged = match options.squash {
            true => self.stage_all(options)?,
            false if self.is_mapped() => self.stage_mapped(options)?,
            false => {
                let staged =
                    self.store.stage_changes(self.layer()?, &diff_options(options), taking);
                let subject = || format!("the files of container {}", self.name());
                staged.map_err(|error| Error::storage(error, subject()))?
            }
        };
        let mut layers: Vec<(Digest, u64)> = base.iter().map(|(_, fact)| fact.clone()).collect();
        layers.push((staged.diff_digest().clone(), staged.diff_size_bytes()));
        let extra = self.stage_extra(options)?;
        let fact =
            |(staged, _): &ExtraLayer| (staged.diff_digest().clone(), staged.diff_size_bytes());
        layers.extend(extra.iter().map(fact));
        let format = options.format.unwrap_or_else(|| self.state.format());
        let told: Vec<Value> = extra.iter().map(|(_, told)| told.clone()).collect();
        let config = self.config(&state, format, &layers, (&told, options))?;
        let manifest = manifest(&state, format, &layers, &config);
        let storage =
            |error| Error::storage(error, format!("committing container {:?}", self.name()));
        let mut image = NewImage::of_manifest(&manifest, &config).map_err(storage)?;
        image.names.clone_from(&options.names);
        image.layers = base.into_iter().map(|(id, _)| NewLayer::Present(id)).collect();
        image.layers.push(NewLayer::Staged(staged));
        image.layers.extend(extra.into_iter().map(|(staged, _)| NewLayer::Staged(staged)));
        let was_there = self.store.image(&image.id).map_err(storage)?.is_some();
        let image = self.store.commit_image(image).map_err(storage)?;
        let platform = platform(&state);
        Ok(CommittedImage { id: image.id.clone(), manifest, platform, was_there, warnings })
    }

    /// Layers behind the container's, and what the history says of them.
    fn stage_extra(&self, options: &CommitOptions) -> Result<Vec<ExtraLayer>> {
        let created = created(options)?;
        let added = self.stage_added(options, created.unix_seconds())?.map(|staged| {
            let text = format!("/bin/sh -c #(nop) ADD dir:{} in /", staged.diff_digest().hex());
            (staged, json!({"created": created.to_string(), "created_by": text}))
        });
        let mut linked = self.stage_linked_copies(options)?;
        if options.dates.pinned().is_some() {
            for told in linked.iter_mut().filter_map(|(_, told)| told.as_object_mut()) {
                told.insert("created".to_owned(), json!(created.to_string()));
            }
        }
        Ok(added.into_iter().chain(linked).collect())
    }

    /// The state with what holds for the image alone.
    fn final_state(&self, options: &CommitOptions) -> Result<(State, Vec<String>)> {
        let mut state = self.state.clone();
        if let Some(format) = options.format {
            // Warnings are about the format of the image.
            state.set_format(format);
        }
        let mut changing = Changing { state: &mut state, history: None, warnings: Vec::new() };
        if let Some((name, version)) = &options.identity_label {
            changing.apply(&ConfigChange::Labels(vec![format!("{name}={version}")]))?;
        }
        for name in &options.remove_environment {
            changing.set_variable(name, None);
        }
        options.changes.iter().try_for_each(|change| changing.apply(change))?;
        let warnings = changing.warnings;
        Ok((state, warnings))
    }

    /// The layers of the image that the container began with, the base first.
    fn base_layers(&self, options: &CommitOptions) -> Result<Vec<(Id, (Digest, u64))>> {
        if options.squash {
            return Ok(Vec::new());
        }
        let storage = |error| Error::storage(error, self.name());
        let chain = self.store.layer_chain(self.layer()?).map_err(storage)?;
        let below = match (self.is_upon_copy()?, &self.container.image) {
            // The container is made upon a copy with other owners.
            (true, Some(image)) => {
                let image = self.store.image(image).map_err(storage)?;
                match image.and_then(|image| image.top_layer.clone()) {
                    Some(top) => self.store.layer_chain(&top).map_err(storage)?,
                    None => Vec::new(),
                }
            }
            _ => chain.into_iter().skip(1).collect::<Vec<_>>(),
        };
        below
            .into_iter()
            .rev()
            .map(|layer| {
                let unknown = || {
                    Error::new(ErrorKind::Storage, format!("layer {}", layer.id), "has no digest")
                };
                let digest = layer.diff_digest.clone().ok_or_else(unknown)?;
                let size = u64::try_from(layer.diff_size_bytes).map_err(|_| unknown())?;
                Ok((layer.id.clone(), (digest, size)))
            })
            .collect()
    }

    /// Options with which files are read as the container's processes see them.
    fn mapped_options(&self, options: &CommitOptions) -> DiffOptions {
        let mut diff = diff_options(options);
        diff.id_maps = self.users().of_layers();
        diff
    }

    /// Reads what was written into a layer whose files have the owners that the container's processes see.
    fn stage_mapped(&self, options: &CommitOptions) -> Result<StagedLayer> {
        let storage = |error| Error::storage(error, self.name());
        let chain = self.store.layer_chain(self.layer()?).map_err(storage)?;
        let roots = chain.iter().map(|layer| self.store.layer_files(&layer.id));
        let roots = roots.collect::<cask_storage::Result<Vec<_>>>().map_err(storage)?;
        let Some((files, below)) = roots.split_first() else {
            return Err(Error::new(ErrorKind::Storage, self.name(), "has no layer"));
        };
        let (diff, driver) = (self.mapped_options(options), self.store.driver());
        self.stage(|output| match (driver, below.first()) {
            (DriverKind::Vfs, Some(below)) => diff_changes(below, files, output, &diff),
            (DriverKind::Vfs, None) => diff_tree(files, output, &diff),
            _ => diff_upper(files, below, output, &diff),
        })
    }

    /// Reads all files into one layer.
    fn stage_all(&self, options: &CommitOptions) -> Result<StagedLayer> {
        let mounted = self.files()?;
        let root = mounted.root()?;
        let diff = self.mapped_options(options);
        if !options.added.is_empty() {
            let date = created(options)?.unix_seconds();
            return self.stage_all_with(&root, &diff, options, date);
        }
        self.stage(|output| diff_tree(&root, output, &diff))
    }

    pub(super) fn stage(
        &self,
        walk: impl FnOnce(LayerOutput) -> Result<(Diffed, LayerOutput), DiffError> + Send,
    ) -> Result<StagedLayer> {
        stage_stream(&self.store, &format!("the files of container {}", self.name()), walk)
    }

    /// The config of the image.
    ///
    /// Source: buildah 1.28, `image.go`, `createConfigsAndManifests` and `NewImageSource`.
    fn config(
        &self,
        state: &State,
        format: ImageFormat,
        layers: &[(Digest, u64)],
        (extra, options): (&[Value], &CommitOptions),
    ) -> Result<Vec<u8>> {
        let kind = match format {
            ImageFormat::Docker => Kind::Docker,
            _ => Kind::Oci,
        };
        let mut image = state.image(kind).cloned().unwrap_or_default();
        let created = created(options)?;
        image.insert("created".to_owned(), json!(created.to_string()));
        let diff_ids: Vec<&str> = layers.iter().map(|(digest, _)| digest.as_str()).collect();
        image.insert("rootfs".to_owned(), json!({"type": "layers", "diff_ids": diff_ids}));
        let clear = options.squash || options.omit_history;
        let old =
            if clear { None } else { image.get("history").and_then(Value::as_array).cloned() };
        let mut history = old.unwrap_or_default();
        if !options.omit_history {
            self.extend_history(state, &mut history, created, options, kind);
            history.extend(extra.iter().cloned());
        }
        match history.is_empty() {
            true => drop(image.remove("history")),
            false => drop(image.insert("history".to_owned(), Value::Array(history))),
        }
        if kind == Kind::Docker {
            self.finish_docker(&mut image, options, clear);
        }
        let shape = if kind == Kind::Docker { Shape::DockerImage } else { Shape::OciImage };
        Ok(encode(&Value::Object(image), shape))
    }

    fn extend_history(
        &self,
        state: &State,
        history: &mut Vec<Value>,
        created: Timestamp,
        options: &CommitOptions,
        kind: Kind,
    ) {
        let empty =
            |key: &str| state.value(key).and_then(Value::as_array).cloned().unwrap_or_default();
        let pinned = options.dates.pinned().is_some();
        let empty = |key: &str| {
            let mut entries = empty(key);
            for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
                entry.insert("empty_layer".to_owned(), json!(true));
                if pinned {
                    // Else the same steps at another time would make another image.
                    entry.insert("created".to_owned(), json!(created.to_string()));
                }
            }
            entries
        };
        history.extend(empty("PrependedEmptyLayers"));
        let mut entry = serde_json::Map::new();
        entry.insert("created".to_owned(), json!(created.to_string()));
        let said = state.text("created-by");
        let shell = state.execution_list(Kind::Docker, "Shell");
        let created_by = match (said, shell.is_empty()) {
            ("", true) => "/bin/sh".to_owned(),
            ("", false) => shell.join(" "),
            (said, _) => said.to_owned(),
        };
        let author = state.image(kind).and_then(|image| image.get("author")?.as_str());
        let mut comment = state.text("history-comment").to_owned();
        let (name, id) = (self.image_name(), self.image_id());
        if !name.is_empty() && !id.starts_with(name) {
            if !comment.is_empty() {
                comment.push(' ');
            }
            comment.push_str("FROM ");
            comment.push_str(name);
        }
        let texts = [
            ("created_by", created_by.as_str()),
            ("author", author.unwrap_or_default()),
            ("comment", comment.as_str()),
        ];
        for (key, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            entry.insert(key.to_owned(), json!(text));
        }
        history.push(Value::Object(entry));
        history.extend(empty("AppendedEmptyLayers"));
    }

    /// What only Docker's format says.
    fn finish_docker(
        &self,
        image: &mut serde_json::Map<String, Value>,
        options: &CommitOptions,
        without_parent: bool,
    ) {
        image.remove("id");
        image.remove("docker_version");
        let pinned = options.dates.pinned().is_some();
        match pinned {
            // It is random, and another one each time.
            true => drop(image.remove("container")),
            false => drop(image.insert("container".to_owned(), json!(self.id().as_str()))),
        }
        match (self.image_id(), without_parent) {
            ("", _) | (_, true) => drop(image.remove("parent")),
            (id, false) => drop(image.insert("parent".to_owned(), json!(format!("sha256:{id}")))),
        }
        if let Some(execution) = image.get("config").cloned() {
            image.insert("container_config".to_owned(), execution);
        }
    }
}

fn platform(state: &State) -> Platform {
    let mut platform = Platform::new(state.image_text("os"), state.image_text("architecture"));
    let text = |key| Some(state.image_text(key).to_owned()).filter(|text| !text.is_empty());
    platform.variant = text("variant");
    platform.os_version = text("os.version");
    platform
}

pub(super) fn diff_options(options: &CommitOptions) -> DiffOptions {
    let mut diff = DiffOptions::default();
    diff.times = options.dates.file_times();
    diff
}

fn created(options: &CommitOptions) -> Result<Timestamp> {
    let Some(seconds) = options.dates.pinned() else { return Ok(options.now) };
    Timestamp::from_unix(seconds, 0).ok_or_else(|| {
        Error::new(ErrorKind::Invalid, seconds, "is a date outside of the years 0 to 9999")
    })
}

fn manifest(
    state: &State,
    format: ImageFormat,
    layers: &[(Digest, u64)],
    config: &[u8],
) -> RawManifest {
    let layer_type = match format {
        ImageFormat::Docker => MediaType::DockerLayer(LayerCompression::None),
        _ => MediaType::OciLayer(LayerCompression::None),
    };
    let layers = layers
        .iter()
        .map(|(digest, size)| Descriptor::new(layer_type.clone(), digest.clone(), *size));
    let digest = Hasher::digest(Algorithm::Sha256, config);
    let config = Descriptor::new(format.config_type(), digest, config.len() as u64);
    let mut manifest = ImageManifest::new(format, config, layers.collect());
    if format == ImageFormat::Oci {
        manifest.annotations = state.annotations().into_iter().collect();
    }
    manifest.encode()
}
