//! Records put together again from what lies on the disk, where their file makes no sense.

mod containers;
mod images;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use cask_image::Digest;

use crate::place::{Kind, Place};
use crate::record::{LayerRecord, Record};
use crate::table::Table;
use crate::{Id, Result, file};

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

/// What is known of a layer from an image that has it.
#[derive(Clone, Debug)]
struct Origin {
    diff_digest: Digest,
    blob: Option<(Digest, u64)>,
}

/// The layers of a place.
pub(crate) fn layers(place: &Place, backup: Option<Table<LayerRecord>>) -> Table<LayerRecord> {
    let driver = place.driver_directory();
    let driver = match place.driver() {
        crate::DriverKind::Overlay => driver,
        crate::DriverKind::Vfs => driver.join("dir"),
    };
    let origins = origins(&place.directory(Kind::Image));
    let present = directories(&driver);
    complete(backup, &present, |id| {
        let mut record = LayerRecord::new(id.clone());
        record.parent = crate::driver::parent(place, id);
        if let Some(origin) = origins.get(id) {
            record.diff_digest = Some(origin.diff_digest.clone());
            if let Some((digest, size)) = &origin.blob {
                record.compressed_digest = Some(digest.clone());
                record.compressed_size_bytes = *size as i64;
            }
        }
        Some(record)
    })
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
        let blobs = manifest.layers.iter().map(|blob| (blob.digest.clone(), blob.size));
        let blobs: Vec<_> = blobs.collect();
        let all = blobs.len() == ids.len();
        for (index, (id, diff_digest)) in ids.into_iter().zip(&config.diff_ids).enumerate() {
            let blob = if all { blobs.get(index).cloned() } else { None };
            origins.insert(id, Origin { diff_digest: diff_digest.clone(), blob });
        }
    }
    origins
}
