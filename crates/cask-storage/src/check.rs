//! What is wrong with a store, and what lies in it that nobody needs.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cask_image::{Digest, Manifest, RawManifest};

use crate::delete::TrashOf;
use crate::file::TEMPORARY_PREFIX;
use crate::place::{Kind, Place};
use crate::record::{ContainerRecord, ImageRecord, LayerRecord};
use crate::{DriverKind, Id, Result, Store, big_data, file, kept, superseded, temp, transient};

/// How thoroughly to look.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CheckOptions {
    /// Whether the files of every image are read and their digests compared.
    pub verify_data: bool,
    /// Whether every layer is read back and its digest compared.
    pub verify_layers: bool,
}

/// What is wrong, or needed by nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ProblemKind {
    /// A JSON file of records makes no sense; it was put together again in memory.
    DamagedFile,
    /// An entry of a JSON file makes no sense; it is kept and not listed.
    DamagedRecord,
    /// An image names a layer that is not there.
    ImageWithoutLayer,
    /// An image lacks its manifest, or another of its files.
    ImageWithoutData,
    /// A file of an image is not what its digest says.
    ImageDataChanged,
    /// A layer names a parent that is not there.
    LayerWithoutParent,
    /// A layer has no directory with files.
    LayerWithoutFiles,
    /// A layer of an image has no recipe for its tar stream.
    LayerWithoutTarSplit,
    /// A layer's short link is missing, or those that it names: old releases cannot mount it.
    LayerWithoutLink,
    /// A layer cannot be read back as the tar stream that it came as.
    LayerChanged,
    /// A blob that is kept beside the layer that came as it is not what its name says.
    KeptBlobChanged,
    /// A container names a layer that is not there.
    ContainerWithoutLayer,
    /// A layer that was being made or deleted when somebody died.
    IncompleteLayer,
    /// A layer that no image and no container needs: of a pull or a build that was interrupted,
    /// or of one that goes on.
    UnusedLayer,
    /// A file or directory that belongs to no record.
    Orphan,
    /// What somebody who died left where layers come and go.
    Leftover,
}

impl ProblemKind {
    /// Whether it only takes space: nothing that is listed is broken by it.
    pub fn is_waste(self) -> bool {
        matches!(self, Self::IncompleteLayer | Self::UnusedLayer | Self::Orphan | Self::Leftover)
    }
}

/// One thing that is wrong, or needed by nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// What is wrong.
    pub kind: ProblemKind,
    /// The image, layer or container, where it is about one.
    pub id: Option<Id>,
    /// The file or directory.
    pub path: PathBuf,
    /// What it takes on the disk in bytes, for what is needed by nobody.
    pub bytes: u64,
    /// How long it has been there, where that is known.
    pub age: Option<Duration>,
    /// More words.
    pub detail: String,
    pub(crate) place: usize,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.id {
            Some(id) => write!(f, "{id}: {}", self.detail),
            None => write!(f, "{}: {}", self.path.display(), self.detail),
        }
    }
}

impl Store {
    /// Looks for whatever is wrong with the store. Nothing is changed and nobody is kept waiting;
    /// what others are doing meanwhile may look wrong.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`](crate::ErrorKind::Denied) and [`ErrorKind::Io`](crate::ErrorKind::Io)
    /// where the store cannot be read at all.
    pub fn check(&self, options: &CheckOptions) -> Result<Vec<Problem>> {
        let checker = self.inner.snapshot(|| Checker::load(self))?;
        checker.run(options)
    }

    /// Looks as [`check`](Self::check) does, for who holds the locks.
    pub(crate) fn check_held(&self, options: &CheckOptions) -> Result<Vec<Problem>> {
        Checker::load(self)?.run(options)
    }
}

type Records<R> = Vec<(usize, Arc<R>)>;

struct Checker<'a> {
    store: &'a Store,
    images: Records<ImageRecord>,
    layers: HashMap<Id, (usize, Arc<LayerRecord>)>,
    containers: Records<ContainerRecord>,
    damages: Vec<(PathBuf, usize, String)>,
    problems: Vec<Problem>,
}

impl<'a> Checker<'a> {
    fn load(store: &'a Store) -> Result<Self> {
        let inner = &store.inner;
        let mut damages = Vec::new();
        let mut images = Vec::new();
        for (place, table) in inner.tables::<ImageRecord>()? {
            images.extend(table.records().map(|record| (place, Arc::clone(record))));
            let path = inner.places[place].directory(Kind::Image);
            damages.extend(table.damages().map(|why| (path.clone(), place, why.to_owned())));
        }
        let mut layers = HashMap::new();
        for (place, table) in inner.tables::<LayerRecord>()? {
            for record in table.records() {
                layers.entry(record.id.clone()).or_insert_with(|| (place, Arc::clone(record)));
            }
            let path = inner.places[place].directory(Kind::Layer);
            damages.extend(table.damages().map(|why| (path.clone(), place, why.to_owned())));
        }
        let mut containers = Vec::new();
        for (place, table) in inner.tables::<ContainerRecord>()? {
            containers.extend(table.records().map(|record| (place, Arc::clone(record))));
            let path = inner.places[place].directory(Kind::Container);
            damages.extend(table.damages().map(|why| (path.clone(), place, why.to_owned())));
        }
        Ok(Self { store, images, layers, containers, damages, problems: Vec::new() })
    }

    fn run(mut self, options: &CheckOptions) -> Result<Vec<Problem>> {
        self.records();
        self.images(options)?;
        self.layers();
        self.containers();
        self.orphans();
        self.leftovers()?;
        if options.verify_layers {
            self.contents();
        }
        self.problems.sort_by(|a, b| (a.kind, &a.path, &a.id).cmp(&(b.kind, &b.path, &b.id)));
        Ok(self.problems)
    }

    fn place(&self, place: usize) -> &'a Place {
        &self.store.inner.places[place]
    }

    fn found(&mut self, kind: ProblemKind, place: usize, path: PathBuf, detail: impl Into<String>) {
        let (bytes, age) = if kind.is_waste() { weight(&path) } else { (0, None) };
        let detail = detail.into();
        self.problems.push(Problem { kind, id: None, path, bytes, age, detail, place });
    }

    fn found_of(
        &mut self,
        id: &Id,
        kind: ProblemKind,
        place: usize,
        path: PathBuf,
        detail: impl Into<String>,
    ) {
        self.found(kind, place, path, detail);
        if let Some(problem) = self.problems.last_mut() {
            problem.id = Some(id.clone());
        }
    }

    fn records(&mut self) {
        for warning in self.store.take_warnings() {
            self.found(ProblemKind::DamagedFile, 0, warning.path, warning.message);
        }
        for (path, place, why) in std::mem::take(&mut self.damages) {
            let detail = format!("an entry makes no sense: {why}");
            self.found(ProblemKind::DamagedRecord, place, path, detail);
        }
    }

    fn images(&mut self, options: &CheckOptions) -> Result<()> {
        for (place, image) in self.images.clone() {
            let directory = self.place(place).big_data_directory(Kind::Image, &image.id);
            if let Some(top) = image.top_layer.as_ref().filter(|top| !self.has_layer(top)) {
                let detail = format!("its layer {top} is missing");
                let kind = ProblemKind::ImageWithoutLayer;
                self.found_of(&image.id, kind, place, directory.clone(), detail);
            }
            let has_manifest = image.big_data_names.iter().any(|name| name == "manifest");
            if !has_manifest {
                let kind = ProblemKind::ImageWithoutData;
                self.found_of(&image.id, kind, place, directory.clone(), "it has no manifest");
            }
            for key in &image.big_data_names {
                self.image_data(&image, place, &directory, key, options.verify_data);
            }
        }
        Ok(())
    }

    fn image_data(
        &mut self,
        image: &ImageRecord,
        place: usize,
        directory: &Path,
        key: &str,
        verify: bool,
    ) {
        let path = directory.join(big_data::file_name(key));
        let size = fs::metadata(&path).ok().map(|found| found.len());
        let expected = image.big_data_sizes.get(key).and_then(|size| u64::try_from(*size).ok());
        let kind = match size {
            None => Some((ProblemKind::ImageWithoutData, format!("its file {key} is missing"))),
            Some(size) if expected.is_some_and(|expected| expected != size) => Some((
                ProblemKind::ImageDataChanged,
                format!("its file {key} has {size} bytes, not {}", expected.unwrap_or_default()),
            )),
            Some(_) if verify => self.verify_data(image, place, key),
            Some(_) => None,
        };
        if let Some((kind, detail)) = kind
            && !(superseded::read(directory, image, key).is_some()
                && (key != "manifest" || is_manifest_of(image, &path)))
        {
            self.found_of(&image.id, kind, place, path, detail);
        }
    }

    fn verify_data(
        &self,
        record: &ImageRecord,
        place: usize,
        key: &str,
    ) -> Option<(ProblemKind, String)> {
        let view = self.store.image_view(place, &Arc::new(record.clone()));
        let error = self.store.image_data(&view, key).err()?;
        let detail = format!("its file {key}: {}", error.detail().unwrap_or("cannot be read"));
        Some((ProblemKind::ImageDataChanged, detail))
    }

    fn has_layer(&self, id: &Id) -> bool {
        self.layers.get(id).is_some_and(|(_, layer)| !layer.is_incomplete())
    }

    fn layers(&mut self) {
        let used = self.used_layers();
        let mut all: Vec<_> = self.layers.values().cloned().collect();
        all.sort_by(|(_, a), (_, b)| a.id.cmp(&b.id));
        for (place, layer) in all {
            let at = self.place(place);
            let directory = at.layer_directory(&layer.id);
            let id = &layer.id;
            if layer.is_incomplete() {
                let detail = "it was being made or deleted when somebody died";
                self.found_of(id, ProblemKind::IncompleteLayer, place, directory, detail);
                continue;
            }
            if let Some(parent) = layer.parent.as_ref().filter(|parent| !self.has_layer(parent)) {
                let detail = format!("its parent {parent} is missing");
                let kind = ProblemKind::LayerWithoutParent;
                self.found_of(id, kind, place, directory.clone(), detail);
            }
            if !at.layer_files(id).is_dir() {
                let detail = "the directory of its files is missing";
                let kind = ProblemKind::LayerWithoutFiles;
                self.found_of(id, kind, place, directory.clone(), detail);
            } else if let Some(detail) = self.wrong_link(at, &layer) {
                let kind = ProblemKind::LayerWithoutLink;
                self.found_of(id, kind, place, directory.clone(), detail);
            }
            if layer.diff_digest.is_some() && !at.tar_split_path(id).is_file() {
                let detail = "the recipe for its tar stream is missing: it can be exported only if \
                              its files still give the same stream";
                let kind = ProblemKind::LayerWithoutTarSplit;
                self.found_of(id, kind, place, at.tar_split_path(id), detail);
            }
            if !used.contains(id) && !self.store.inner.is_read_only(place) {
                let detail = "no image and no container needs it";
                self.found_of(id, ProblemKind::UnusedLayer, place, directory, detail);
                if let (Some(problem), Some(created)) = (self.problems.last_mut(), layer.created) {
                    problem.age = age_of(created.unix_seconds());
                }
            }
        }
    }

    fn wrong_link(&self, place: &Place, layer: &LayerRecord) -> Option<String> {
        if place.driver() != DriverKind::Overlay {
            return None;
        }
        crate::driver::overlay::wrong_link(&self.store.inner, place, layer)
    }

    /// The layers that images and containers need.
    fn used_layers(&self) -> HashSet<Id> {
        let tops = self.images.iter().flat_map(|(_, image)| {
            let mapped = image.mapped_layers.iter().filter_map(|id| Id::recorded(id).ok());
            image.top_layer.clone().into_iter().chain(mapped)
        });
        let containers = self.containers.iter().filter_map(|(_, found)| found.layer.clone());
        let mut waiting: Vec<Id> = tops.chain(containers).collect();
        let mut used = HashSet::new();
        while let Some(id) = waiting.pop() {
            let parent = self.layers.get(&id).and_then(|(_, layer)| layer.parent.clone());
            if used.insert(id) {
                waiting.extend(parent);
            }
        }
        used
    }

    fn containers(&mut self) {
        for (place, container) in self.containers.clone() {
            let directory = self.place(place).big_data_directory(Kind::Container, &container.id);
            if let Some(layer) = container.layer.as_ref().filter(|layer| !self.has_layer(layer)) {
                let detail = format!("its layer {layer} is missing");
                let kind = ProblemKind::ContainerWithoutLayer;
                self.found_of(&container.id, kind, place, directory, detail);
            }
        }
    }

    /// What lies in the store's directories and belongs to no record.
    fn orphans(&mut self) {
        let images: HashSet<String> = ids(self.images.iter().map(|(_, image)| &image.id));
        // Of these the records may be in another run root.
        let noted = transient::noted(&self.store.inner);
        let mut containers = ids(self.containers.iter().map(|(_, container)| &container.id));
        let mut layers = ids(self.layers.keys());
        containers.extend(noted.iter().cloned());
        layers.extend(noted);
        for number in self.store.inner.writable_places() {
            let place = self.place(number);
            let driver = match place.driver() {
                DriverKind::Overlay => place.driver_directory(),
                DriverKind::Vfs => place.driver_directory().join("dir"),
            };
            let places = [
                (driver, &layers, "layer"),
                (place.directory(Kind::Layer), &layers, "layer"),
                (place.directory(Kind::Image), &images, "image"),
                (place.directory(Kind::Container), &containers, "container"),
            ];
            for (directory, known, kind) in places {
                self.orphans_in(number, &directory, known, kind);
            }
        }
    }

    fn orphans_in(&mut self, place: usize, directory: &Path, known: &HashSet<String>, kind: &str) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let id = name.strip_suffix(".tar-split.gz").unwrap_or(&name);
            let is_temporary = name.starts_with(TEMPORARY_PREFIX);
            // Whatever else lies there is the peers' business.
            if is_temporary || (crate::id::is_full_hex(id) && !known.contains(id)) {
                let detail = match is_temporary {
                    true => "a file that was being written when somebody died".to_owned(),
                    false => format!("it belongs to no {kind}"),
                };
                self.found(ProblemKind::Orphan, place, entry.path(), detail);
            }
        }
    }

    fn leftovers(&mut self) -> Result<()> {
        for number in self.store.inner.writable_places() {
            for of in [TrashOf::Driver, TrashOf::Records] {
                let root = self.store.inner.temp_root(number, of);
                for path in temp::abandoned(&root)? {
                    let detail = "somebody died while making or deleting layers";
                    self.found(ProblemKind::Leftover, number, path, detail);
                }
            }
        }
        Ok(())
    }

    /// Reads every layer back.
    fn contents(&mut self) {
        let layers: Vec<(usize, Id, Digest)> = self
            .layers
            .values()
            .filter(|(_, layer)| !layer.is_incomplete())
            .filter_map(|(place, layer)| {
                Some((*place, layer.id.clone(), layer.diff_digest.clone()?))
            })
            .collect();
        for (place, id, digest) in layers {
            if let Err(detail) = self.store.verify_layer(&id, &digest) {
                let path = self.place(place).layer_directory(&id);
                self.found_of(&id, ProblemKind::LayerChanged, place, path, detail);
            }
        }
        for place in self.store.inner.writable_places() {
            for blob in kept::list(self.place(place)) {
                if let Some(detail) = kept::wrong(&blob) {
                    self.found(ProblemKind::KeptBlobChanged, place, blob.path, detail);
                }
            }
        }
    }
}

fn ids<'i>(ids: impl Iterator<Item = &'i Id>) -> HashSet<String> {
    ids.map(Id::to_string).collect()
}

fn age_of(unix_seconds: i64) -> Option<Duration> {
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(unix_seconds).ok()?);
    SystemTime::now().duration_since(then).ok()
}

/// What a file or a directory takes on the disk, and for how long it has been there.
pub(crate) fn weight(path: &Path) -> (u64, Option<Duration>) {
    let changed = fs::symlink_metadata(path).ok().and_then(|found| age_of(found.ctime()));
    (disk_bytes(path), changed)
}

/// What a file or a directory takes on the disk: files with several names count once.
pub(crate) fn disk_bytes(path: &Path) -> u64 {
    let mut seen = HashSet::new();
    let mut sum = 0;
    let mut waiting = vec![path.to_owned()];
    while let Some(path) = waiting.pop() {
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if metadata.nlink() > 1
            && !metadata.is_dir()
            && !seen.insert((metadata.dev(), metadata.ino()))
        {
            continue;
        }
        sum += metadata.blocks() * 512;
        if metadata.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            waiting.extend(entries.map(|entry| entry.path()));
        }
    }
    sum
}

/// Whether a file is a manifest of the image, its record's or another.
fn is_manifest_of(image: &ImageRecord, path: &Path) -> bool {
    let found = file::read(path, big_data::MAX_BYTES).ok().flatten();
    let raw = found.and_then(|(bytes, _)| RawManifest::guess(bytes).ok());
    match raw.and_then(|raw| raw.parse().ok()) {
        Some(Manifest::Image(manifest)) => Id::of_config(&manifest.config.digest) == image.id,
        _ => false,
    }
}
