//! Containers put together again from what lies on the disk.
//!
//! Which layer a container writes to stands in one place only, the file that is damaged; but whoever makes
//! containers leaves traces of it. Ours have a copy of their record in their directory. What buildah and podman keep
//! of a container that was ever mounted or started names where its files are. What is left over is told by time: the
//! directory of a container is made in the moment in which its layer is.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cask_image::Timestamp;
use serde_json::Value;

use super::{MAX_BYTES, OWN_FILE, directories, keep_copy, own_copy};
use crate::place::{Kept, Kind, Place};
use crate::record::{ContainerRecord, IdMap, ImageRecord, LayerRecord};
use crate::table::Table;
use crate::{Id, file};

/// A container's directory is made at most so long after its layer was listed.
const MOMENT: Duration = Duration::from_secs(30);

/// How far the time of a file may lag behind the clock.
const SLACK: Duration = Duration::from_millis(20);

/// Brings the copy of a record up to date, where there is one. It need not survive a loss of power: then the container
/// is told by other traces.
pub(crate) fn renew_copy(directory: &Path, record: &ContainerRecord) {
    if directory.join(OWN_FILE).exists() {
        // The record itself is written.
        let _ = keep_copy(directory, record);
    }
}

/// The containers of one file of a place: those of its last good generation that are still there, and those whose
/// directories no record names.
pub(crate) fn containers(
    place: &Place,
    file: usize,
    backup: Option<Table<ContainerRecord>>,
) -> Table<ContainerRecord> {
    let present = directories(&place.directory(Kind::Container));
    let kept = backup.unwrap_or_default();
    let kept = kept.records().filter(|record| present.binary_search(&record.id).is_ok());
    let mut found: Vec<ContainerRecord> =
        kept.map(|record| ContainerRecord::clone(record)).collect();
    let Some(others) = other_file(place, file) else { return Table::of(found) };
    found.retain(|record| others.by_id(record.id.as_str()).is_none());
    let layers = Layers::of(place, others.records().map(|record| &**record).chain(&found));
    let known: HashSet<&Id> = found.iter().map(|record| &record.id).collect();
    let lost: Vec<&Id> = present
        .iter()
        .filter(|id| !known.contains(id) && others.by_id(id.as_str()).is_none())
        .collect();
    let made = layers.claimed_by(lost.into_iter().map(|id| Traces::of(place, id)).collect());
    found.extend(made);
    Table::of(distinct(found, &others))
}

/// The other of the two files of containers; `None` where that makes no sense either and the stable one, which this
/// is not, has all that can be found.
fn other_file(place: &Place, file: usize) -> Option<Table<ContainerRecord>> {
    let other = *ContainerRecord::files(place).get(1 - file.min(1))?;
    match other.on_disk() {
        Some(table) => Some(table),
        None if file == 0 => Some(other.last_good().unwrap_or_default()),
        None => None,
    }
}

/// Of two containers with one name the second has none.
fn distinct(
    mut records: Vec<ContainerRecord>,
    others: &Table<ContainerRecord>,
) -> Vec<ContainerRecord> {
    let mut taken: HashSet<String> =
        others.records().flat_map(|record| record.names.clone()).collect();
    for record in &mut records {
        record.names.retain(|name| taken.insert(name.clone()));
    }
    records
}

/// What the directory of a container tells.
struct Traces {
    id: Id,
    /// Its record, as it was when it was made.
    record: Option<ContainerRecord>,
    /// A path to its files.
    files: Option<String>,
    name: Option<String>,
    image: Option<Id>,
    /// Whether buildah, or cooper, works on it.
    is_builder: bool,
    process_label: String,
    uid_map: Vec<IdMap>,
    gid_map: Vec<IdMap>,
    /// When it was made.
    made: Option<SystemTime>,
}

impl Traces {
    fn of(place: &Place, id: &Id) -> Self {
        let directory = place.big_data_directory(Kind::Container, id);
        let mut traces = Self {
            id: id.clone(),
            record: own_copy(&directory, id).map(|(record, _)| record),
            files: None,
            name: None,
            image: None,
            is_builder: false,
            process_label: String::new(),
            uid_map: Vec::new(),
            gid_map: Vec::new(),
            made: fs::metadata(&directory).and_then(|found| found.created()).ok(),
        };
        if let Some(state) = json(&directory.join("userdata/buildah.json")) {
            traces.take_builder(&state);
        } else if let Some(bundle) = json(&directory.join("userdata/config.json")) {
            traces.take_bundle(&bundle);
        }
        traces
    }

    /// Source: buildah, `buildah.go`, `Builder`.
    fn take_builder(&mut self, state: &Value) {
        let text =
            |key: &str| state[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        self.is_builder = true;
        self.files = text("mountpoint");
        self.name = text("container-name");
        self.image = text("image-id").and_then(|id| Id::recorded(&id).ok());
        self.process_label = text("process-label").unwrap_or_default();
        self.uid_map = id_map(&state["IDMappingOptions"]["UIDMap"]);
        self.gid_map = id_map(&state["IDMappingOptions"]["GIDMap"]);
    }

    /// What a runtime is given; its format is that of the runtime specification.
    fn take_bundle(&mut self, bundle: &Value) {
        self.files = bundle["root"]["path"].as_str().map(str::to_owned);
        self.process_label = bundle["process"]["selinuxLabel"].as_str().unwrap_or_default().into();
        self.uid_map = id_map(&bundle["linux"]["uidMappings"]);
        self.gid_map = id_map(&bundle["linux"]["gidMappings"]);
    }
}

fn json(path: &Path) -> Option<Value> {
    let (bytes, _) = file::read(path, MAX_BYTES).ok()??;
    serde_json::from_slice(&bytes).ok().filter(Value::is_object)
}

/// Ranges as the runtime specification writes them.
fn id_map(ranges: &Value) -> Vec<IdMap> {
    let number = |value: &Value| u32::try_from(value.as_u64()?).ok();
    let range = |range: &Value| {
        Some(IdMap {
            container_id: number(&range["containerID"])?,
            host_id: number(&range["hostID"])?,
            size: number(&range["size"])?,
        })
    };
    ranges.as_array().into_iter().flatten().filter_map(range).collect()
}

/// The layers that containers may write to and that no container is known to.
struct Layers {
    images: Vec<Arc<ImageRecord>>,
    free: Vec<Arc<LayerRecord>>,
}

impl Layers {
    fn of<'r>(place: &Place, known: impl Iterator<Item = &'r ContainerRecord>) -> Self {
        let images: Vec<_> = all::<ImageRecord>(place);
        let layers: Vec<_> = all::<LayerRecord>(place);
        let tops = images.iter().flat_map(|image| {
            image
                .top_layer
                .iter()
                .map(Id::as_str)
                .chain(image.mapped_layers.iter().map(String::as_str))
        });
        let parents = layers.iter().filter_map(|layer| layer.parent.as_ref().map(Id::as_str));
        let mut taken: HashSet<String> = tops.chain(parents).map(str::to_owned).collect();
        taken.extend(known.filter_map(|record| Some(record.layer.as_ref()?.to_string())));
        let is_free = |layer: &&Arc<LayerRecord>| {
            layer.diff_digest.is_none()
                && layer.toc_digest.is_none()
                && !layer.is_incomplete()
                && !taken.contains(layer.id.as_str())
                && place.layer_files(&layer.id).is_dir()
        };
        let free = layers.iter().filter(is_free).cloned().collect();
        Self { images, free }
    }

    /// Finds out which container writes to which; those of which nothing tells stay out.
    fn claimed_by(mut self, mut lost: Vec<Traces>) -> Vec<ContainerRecord> {
        let mut found = Vec::new();
        lost.retain_mut(|traces| match self.told(traces) {
            Some(record) => {
                found.push(record);
                false
            }
            None => true,
        });
        while let Some((container, layer)) = self.nearest(&lost) {
            let traces = lost.remove(container);
            let layer = self.free.remove(layer);
            found.push(self.record(&traces, &layer));
        }
        if let ([traces], [layer]) = (lost.as_slice(), self.free.as_slice())
            && self.fits(traces, layer)
        {
            found.push(self.record(traces, layer));
        }
        found
    }

    /// What a container's files tell outright.
    fn told(&mut self, traces: &mut Traces) -> Option<ContainerRecord> {
        if let Some(mut record) = traces.record.take()
            && record.layer.as_ref().is_some_and(|layer| self.take(layer).is_some())
        {
            // Buildah may have given it another name since.
            if let (true, Some(name)) = (traces.is_builder, traces.name.take()) {
                record.names = vec![name];
            }
            return Some(record);
        }
        let path = traces.files.take()?;
        let mut parts = Path::new(&path).iter().filter_map(|part| part.to_str());
        let layer = parts.find_map(|part| self.take(&Id::recorded(part).ok()?))?;
        Some(self.record(traces, &layer))
    }

    fn take(&mut self, id: &Id) -> Option<Arc<LayerRecord>> {
        let position = self.free.iter().position(|layer| layer.id == *id)?;
        Some(self.free.remove(position))
    }

    /// The container and the layer that were made nearest to one another.
    fn nearest(&self, lost: &[Traces]) -> Option<(usize, usize)> {
        let layers = || self.free.iter().enumerate();
        let pairs = lost.iter().enumerate().flat_map(|(container, traces)| {
            layers().filter_map(move |(layer, record)| {
                Some((self.apart(traces, record)?, container, layer))
            })
        });
        pairs.min().map(|(_, container, layer)| (container, layer))
    }

    /// How far apart a layer and the directory of a container were made, if it may be that container's.
    fn apart(&self, traces: &Traces, layer: &LayerRecord) -> Option<Duration> {
        let begun = layer.created.and_then(moment)?;
        let (apart, most) = match traces.made?.duration_since(begun) {
            Ok(after) => (after, MOMENT),
            Err(before) => (before.duration(), SLACK),
        };
        (apart <= most && self.fits(traces, layer)).then_some(apart)
    }

    /// Whether a layer is of who made the container, and upon its image.
    fn fits(&self, traces: &Traces, layer: &LayerRecord) -> bool {
        // Buildah gives layers no names; podman and cellar do.
        if traces.is_builder == layer_owner(layer).is_some() {
            return false;
        }
        let Some(image) = &traces.image else { return true };
        match self.images.iter().find(|found| found.id == *image) {
            Some(image) => is_upon(layer, image),
            None => true,
        }
    }

    fn record(&self, traces: &Traces, layer: &LayerRecord) -> ContainerRecord {
        let mut record = ContainerRecord::new(traces.id.clone());
        let image = match &traces.image {
            Some(image) => self.images.iter().find(|found| found.id == *image),
            None => self.image_below(layer),
        };
        let of_engine = layer_owner(layer);
        let name = traces.name.clone().or_else(|| of_engine.map(str::to_owned));
        record.names.extend(name.clone());
        record.image = traces.image.clone().or_else(|| image.map(|image| image.id.clone()));
        record.layer = Some(layer.id.clone());
        record.created = layer.created;
        if !traces.is_builder {
            record.metadata =
                metadata(&name.unwrap_or_default(), image.map(|image| &**image), layer);
        }
        record.uid_map = own_or(&layer.uid_map, &traces.uid_map);
        record.gid_map = own_or(&layer.gid_map, &traces.gid_map);
        record.flags.set_text("MountLabel", &layer.mount_label);
        record.flags.set_text("ProcessLabel", &traces.process_label);
        record
    }

    /// The image that a layer is upon: of several, one that has a name.
    fn image_below(&self, layer: &LayerRecord) -> Option<&Arc<ImageRecord>> {
        let mut below = self.images.iter().filter(|image| is_upon(layer, image));
        let first = below.next()?;
        match first.names.is_empty() {
            true => Some(below.find(|image| !image.names.is_empty()).unwrap_or(first)),
            false => Some(first),
        }
    }
}

/// The records of all files of a place.
fn all<R: Kept>(place: &Place) -> Vec<Arc<R>> {
    let files = R::files(place).into_iter().enumerate();
    let tables = files
        .filter_map(|(number, file)| file.load(|backup| R::rebuild(place, number, backup)).ok());
    tables.flat_map(|loaded| loaded.table.records().cloned().collect::<Vec<_>>()).collect()
}

/// Whose layer it is by its name. Source: podman, `libpod/storage.go`, `CreateContainerStorage`.
fn layer_owner(layer: &LayerRecord) -> Option<&str> {
    layer.names.iter().find_map(|name| name.strip_suffix("-layer"))
}

fn is_upon(layer: &LayerRecord, image: &ImageRecord) -> bool {
    match &layer.parent {
        None => image.top_layer.is_none(),
        Some(parent) => {
            image.top_layer.as_ref() == Some(parent)
                || image.mapped_layers.iter().any(|mapped| mapped == parent.as_str())
        }
    }
}

fn own_or(own: &[IdMap], other: &[IdMap]) -> Vec<IdMap> {
    if own.is_empty() { other.to_vec() } else { own.to_vec() }
}

/// What podman keeps with a container. Source: podman, `libpod/storage.go`, `RuntimeContainerMetadata`.
fn metadata(name: &str, image: Option<&ImageRecord>, layer: &LayerRecord) -> String {
    let image_name = image.and_then(|image| image.names.first());
    serde_json::json!({
        "image-name": image_name,
        "image-id": image.map(|image| image.id.as_str()),
        "name": name,
        "created-at": layer.created.map_or(0, Timestamp::unix_seconds),
    })
    .to_string()
}

fn moment(time: Timestamp) -> Option<SystemTime> {
    let seconds = Duration::from_secs(u64::try_from(time.unix_seconds()).ok()?);
    Some(SystemTime::UNIX_EPOCH + seconds + Duration::from_nanos(time.nanoseconds().into()))
}
