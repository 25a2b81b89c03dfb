//! Records put together again from what lies on the disk, where their file makes no sense.

mod containers;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use cask_image::{Algorithm, Digest, Hasher, ImageConfig, ImageManifest, Manifest, RawManifest};

use crate::big_data::{self, MAX_BYTES};
use crate::place::{Kind, Place};
use crate::record::{ImageRecord, LayerRecord, Record};
use crate::table::Table;
use crate::{Id, file};

pub(crate) use containers::{containers, keep_copy, renew_copy};

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

/// The images of a place.
pub(crate) fn images(place: &Place, backup: Option<Table<ImageRecord>>) -> Table<ImageRecord> {
    let root = place.directory(Kind::Image);
    complete(backup, &directories(&root), |id| image(&root.join(id.as_str()), id))
}

/// An image, from its manifest and its config; its names are lost.
fn image(directory: &Path, id: &Id) -> Option<ImageRecord> {
    let (manifest, config) = documents(directory)?;
    let mut record = ImageRecord::new(id.clone());
    record.digest = Some(manifest.digest().clone());
    if let Some((_, config)) = &config {
        record.top_layer = Id::of_layers(&config.diff_ids).pop();
        record.created = config.created;
    }
    for (name, bytes) in big_data::on_disk(directory) {
        record.big_data_sizes.insert(name.clone(), bytes.len() as i64);
        let digest = Hasher::digest(Algorithm::Sha256, &bytes);
        record.big_data_digests.insert(name.clone(), digest);
        record.big_data_names.push(name);
    }
    record.metadata = "{}".to_owned();
    Some(record)
}

/// An image's manifest and, where it has one, that with its config.
fn documents(directory: &Path) -> Option<(RawManifest, Option<(ImageManifest, ImageConfig)>)> {
    let (bytes, _) = file::read(&directory.join("manifest"), MAX_BYTES).ok()??;
    let raw = RawManifest::guess(bytes).ok()?;
    let Manifest::Image(manifest) = raw.parse().ok()? else { return Some((raw, None)) };
    let path = directory.join(big_data::file_name(manifest.config.digest.as_str()));
    let config = file::read(&path, MAX_BYTES).ok().flatten();
    let config = config.and_then(|(bytes, _)| ImageConfig::parse(bytes).ok());
    Some((raw, config.map(|config| (manifest, config))))
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
        let Some((_, Some((manifest, config)))) = documents(&images.join(id.as_str())) else {
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
