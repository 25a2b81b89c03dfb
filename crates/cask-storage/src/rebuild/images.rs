//! Images put together again from what lies on the disk.
//!
//! Most of an image's record follows from its files. Its names and when it had which stand in one place only, the file
//! that is damaged: so a copy of the record lies beside the image, of whatever this crate has stored or named.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use cask_image::{ImageConfig, ImageManifest, Manifest, RawManifest};

use super::{directories, keep_copy, own_copy, text_of_copy};
use crate::big_data::{self, MAX_BYTES};
use crate::names::note_data;
use crate::place::{Kept, Kind, Place};
use crate::record::{ImageRecord, Record};
use crate::table::Table;
use crate::{Id, file};

/// Brings the copy of a record beside an image up to date. Nobody waits for the disk, and nobody fails because there is
/// no copy: the record itself is written.
pub(crate) fn renew_image(place: &Place, record: &ImageRecord) {
    let directory = place.big_data_directory(Kind::Image, &record.id);
    let mut text = String::new();
    record.write(&mut text);
    if directory.is_dir() && text_of_copy(&directory).as_deref() != Some(text.as_bytes()) {
        let _ = keep_copy(&directory, record);
    }
}

/// The images of a place.
///
/// Of the last good generation of their file and the copy beside an image, the later one tells. A copy may be older than
/// the file was: peers that name images leave it as it is.
pub(crate) fn images(place: &Place, backup: Option<Table<ImageRecord>>) -> Table<ImageRecord> {
    let root = place.directory(Kind::Image);
    let written = ImageRecord::files(place).first().and_then(|file| file.last_good_time());
    let is_lost = root.join("images.json").exists() || backup.is_some();
    let backup = backup.unwrap_or_default();
    let mut found: Vec<Found> = directories(&root)
        .iter()
        .filter_map(|id| {
            let listed = backup.by_id(id.as_str()).map(|record| ImageRecord::clone(record));
            Found::of(&root.join(id.as_str()), id, listed, written)
        })
        .collect();
    // Where there never was a list, none of what lies there was ever an image.
    if !is_lost && found.iter().all(|image| image.told.is_none()) {
        return Table::default();
    }
    let order: Vec<&Id> = backup.records().map(|record| &record.id).collect();
    found.sort_by_key(|image| {
        let position = order.iter().position(|id| **id == image.record.id);
        (position.unwrap_or(usize::MAX), image.made)
    });
    distinct(&mut found);
    Table::of(found.into_iter().map(|image| image.record))
}

struct Found {
    record: ImageRecord,
    /// When the record was as it is; `None` where nothing but the files tells of the image.
    told: Option<SystemTime>,
    /// When the image came.
    made: Option<SystemTime>,
}

impl Found {
    fn of(
        directory: &Path,
        id: &Id,
        listed: Option<ImageRecord>,
        written: Option<SystemTime>,
    ) -> Option<Self> {
        let (record, told) = match (listed, own_copy::<ImageRecord>(directory, id)) {
            (Some(listed), Some((_, copied))) if written.is_some_and(|at| at > copied) => {
                (listed, written)
            }
            (_, Some((mut record, copied))) => {
                note_files(&mut record, directory);
                (record, Some(copied))
            }
            (Some(listed), None) => (listed, written),
            (None, None) => (image(directory, id)?, None),
        };
        let made = fs::metadata(directory).and_then(|found| found.created()).ok();
        Some(Self { record, told, made })
    }
}

/// Of two images with one name, the one of which was told last has it.
fn distinct(found: &mut [Found]) {
    let mut latest: Vec<&mut Found> = found.iter_mut().collect();
    latest.sort_by_key(|image| std::cmp::Reverse(image.told));
    let mut taken: HashSet<String> = HashSet::new();
    for image in latest {
        image.record.names.retain(|name| taken.insert(name.clone()));
    }
}

/// Notes the files that somebody else wrote since the record was copied.
fn note_files(record: &mut ImageRecord, directory: &Path) {
    for (key, bytes) in big_data::on_disk(directory) {
        let is_known = record.big_data_sizes.get(&key) == Some(&(bytes.len() as i64));
        // The manifest of a list changes, and may be as long as before.
        if !is_known || key.starts_with("manifest") {
            note_data(record, &key, &bytes);
        }
    }
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
    note_files(&mut record, directory);
    record.metadata = "{}".to_owned();
    Some(record)
}

/// An image's manifest and, where it has one, that with its config.
pub(super) fn documents(
    directory: &Path,
) -> Option<(RawManifest, Option<(ImageManifest, ImageConfig)>)> {
    let (bytes, _) = file::read(&directory.join("manifest"), MAX_BYTES).ok()??;
    let raw = RawManifest::guess(bytes).ok()?;
    let Manifest::Image(manifest) = raw.parse().ok()? else { return Some((raw, None)) };
    let path = directory.join(big_data::file_name(manifest.config.digest.as_str()));
    let config = file::read(&path, MAX_BYTES).ok().flatten();
    let config = config.and_then(|(bytes, _)| ImageConfig::parse(bytes).ok());
    Some((raw, config.map(|config| (manifest, config))))
}
