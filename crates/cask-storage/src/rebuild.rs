//! Records put together again from what lies on the disk, where their file makes no sense.

mod containers;
mod images;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::SystemTime;

use cask_image::{Descriptor, Digest, LayerCompression, Timestamp};
use cask_layer::Compression;

use crate::place::{Kind, Place};
use crate::record::{LayerRecord, Record};
use crate::table::Table;
use crate::{DriverKind, Id, Result, file};

pub(crate) use containers::{containers, renew_copy};
pub(crate) use images::{images, renew_image};

/// The copy of its record in the directory of a container or an image. No big data is called so: see
/// `big_data::file_name`.
const OWN_FILE: &str = "cask-record.json";

/// The most bytes of a file about a container or an image that are read.
const MAX_BYTES: u64 = 16 << 20;

/// Keeps a copy of a record with the container or the image. Nobody waits for the disk.
pub(crate) fn keep_copy(directory: &Path, record: &impl Record) -> Result<()> {
    let mut text = String::new();
    record.write(&mut text);
    file::Replacement::write(&directory.join(OWN_FILE), text.as_bytes(), 0o600)?.put()
}

/// That copy, as it is written.
fn text_of_copy(directory: &Path) -> Option<Vec<u8>> {
    file::read(&directory.join(OWN_FILE), MAX_BYTES).ok()?.map(|(bytes, _)| bytes)
}

/// That copy, if it is one of this record, and when it was written.
fn own_copy<R: Record>(directory: &Path, id: &Id) -> Option<(R, SystemTime)> {
    let record: R = serde_json::from_slice(&text_of_copy(directory)?).ok()?;
    let written = fs::metadata(directory.join(OWN_FILE)).and_then(|found| found.modified()).ok()?;
    (record.id() == id).then_some((record, written))
}

/// The IDs of the directories in a directory.
fn directories(path: &Path) -> Vec<Id> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let names = directories.filter_map(|entry| entry.file_name().into_string().ok());
    let mut ids: Vec<Id> = names
        .filter(|name| crate::id::is_full_hex(name))
        .filter_map(|n| Id::recorded(&n).ok())
        .collect();
    ids.sort();
    ids
}

/// Records of the last good generation that still have a directory, and new ones for directories
/// that have no record.
fn complete<R: Record>(
    backup: Option<Table<R>>,
    present: &[Id],
    make: impl Fn(&Id) -> Option<R>,
) -> Table<R> {
    let backup = backup.unwrap_or_default();
    let known: HashMap<&Id, &R> = backup.records().map(|record| (record.id(), &**record)).collect();
    let kept = backup.records().filter(|record| present.binary_search(record.id()).is_ok());
    let kept = kept.map(|record| R::clone(record));
    let made = present.iter().filter(|id| !known.contains_key(id)).filter_map(make);
    Table::of(kept.chain(made))
}

/// What a record has for a size that is not known.
pub(crate) const UNKNOWN_SIZE: i64 = -1;

/// What is known of a layer from an image that has it.
#[derive(Clone, Debug)]
struct Origin {
    diff_digest: Digest,
    blob: Option<Blob>,
}

/// The blob that a layer came as.
#[derive(Clone, Debug)]
struct Blob {
    digest: Digest,
    size: u64,
    compression: Compression,
}

impl Blob {
    fn of(named: &Descriptor) -> Self {
        let compression = match named.media_type.layer_compression() {
            Some(LayerCompression::Gzip) => Compression::Gzip,
            Some(LayerCompression::Zstd) => Compression::Zstd,
            _ => Compression::None,
        };
        Self { digest: named.digest.clone(), size: named.size, compression }
    }
}

/// The layers of a place.
pub(crate) fn layers(place: &Place, backup: Option<Table<LayerRecord>>) -> Table<LayerRecord> {
    let driver = place.driver_directory();
    let driver = match place.driver() {
        DriverKind::Overlay => driver,
        DriverKind::Vfs => driver.join("dir"),
    };
    let origins = origins(&place.directory(Kind::Image));
    let present = directories(&driver);
    complete(backup, &present, |id| {
        let mut record = LayerRecord::new(id.clone());
        record.parent = crate::driver::parent(place, id);
        if let Some(origin) = origins.get(id) {
            record.diff_digest = Some(origin.diff_digest.clone());
            if let Some(blob) = &origin.blob {
                record.compressed_digest = Some(blob.digest.clone());
                record.compressed_size_bytes = blob.size as i64;
                record.set_compression(blob.compression);
            }
        }
        let has_origin = origins.contains_key(id);
        note_contents(&mut record, place, has_origin);
        Some(record)
    })
}

/// Notes what a layer's recipe and its files tell of it: the size of its stream, who owns what, and since when it has
/// been there. Of layers that came as no stream, those of containers, records have none of it but the time.
fn note_contents(record: &mut LayerRecord, place: &Place, has_origin: bool) {
    let directory = place.layer_directory(&record.id);
    let made = fs::metadata(&directory).and_then(|found| found.created()).ok();
    record.created = made.and_then(|made| {
        let since = made.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Timestamp::from_unix(i64::try_from(since.as_secs()).ok()?, since.subsec_nanos())
    });
    if !note_recipe(record, place) && has_origin && place.driver() == DriverKind::Overlay {
        record.diff_size_bytes = UNKNOWN_SIZE;
        note_owners(record, owners_of_files(&place.layer_files(&record.id)));
    }
}

/// Notes what the recipe for its tar stream tells of a layer; says whether there is one.
pub(crate) fn note_recipe(record: &mut LayerRecord, place: &Place) -> bool {
    let recipe = fs::File::open(place.tar_split_path(&record.id));
    let summary = recipe.ok().and_then(|recipe| cask_layer::summarize(recipe).ok());
    let Some(summary) = summary else { return false };
    record.diff_size_bytes = i64::try_from(summary.size_bytes).unwrap_or(UNKNOWN_SIZE);
    note_owners(record, summary.owners.unwrap_or_default());
    true
}

fn note_owners(record: &mut LayerRecord, (uids, gids): (BTreeSet<u32>, BTreeSet<u32>)) {
    record.uids = uids.into_iter().collect();
    record.gids = gids.into_iter().collect();
}

/// Users and groups of all that lies in a directory, whiteouts left out: they own nothing.
fn owners_of_files(directory: &Path) -> (BTreeSet<u32>, BTreeSet<u32>) {
    let (mut uids, mut gids) = (BTreeSet::new(), BTreeSet::new());
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            // That of the entry itself: no link is followed.
            let Ok(found) = entry.metadata() else { continue };
            if found.file_type().is_char_device() && found.rdev() == 0 {
                continue;
            }
            uids.insert(found.uid());
            gids.insert(found.gid());
            if found.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    (uids, gids)
}

/// What the images of a directory say of their layers.
fn origins(images: &Path) -> HashMap<Id, Origin> {
    let mut origins = HashMap::new();
    for id in directories(images) {
        let Some((_, Some((manifest, config)))) = images::documents(&images.join(id.as_str()))
        else {
            continue;
        };
        let ids = Id::of_layers(&config.diff_ids);
        let blobs: Vec<_> = manifest.layers.iter().map(Blob::of).collect();
        let all = blobs.len() == ids.len();
        for (index, (id, diff_digest)) in ids.into_iter().zip(&config.diff_ids).enumerate() {
            let blob = if all { blobs.get(index).cloned() } else { None };
            origins.insert(id, Origin { diff_digest: diff_digest.clone(), blob });
        }
    }
    origins
}
