//! Giving names to images and taking them away.

use std::fs;
use std::sync::Arc;

use cask_image::{Algorithm, Hasher, RawManifest};
use cask_json::quoted;

use crate::big_data::{self, MAX_BYTES};
use crate::book::Book;
use crate::cache::not_found;
use crate::order::{Free, Held, Writing};
use crate::place::Kind;
use crate::record::ImageRecord;
use crate::store::Inner;
use crate::{Error, ErrorKind, Id, Result, Store, file, superseded};

/// Where images of additional stores go when they are changed, and new ones.
pub(crate) const IMAGE_PLACE: usize = 0;

impl Store {
    /// Gives an image these names and no others. They are taken from images that have them.
    ///
    /// The names history remembers them. An image of an additional store is copied into the store,
    /// its layers are not.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for the image; [`ErrorKind::InvalidName`] for an empty name;
    /// [`ErrorKind::ReadOnly`], [`ErrorKind::Locked`], [`ErrorKind::NoSpace`] and
    /// [`ErrorKind::Io`].
    pub fn set_names(&self, image: &Id, names: &[String]) -> Result<()> {
        self.change_names(image, |_| names.to_vec())
    }

    /// Gives an image more names, which come before those that it has.
    ///
    /// # Errors
    /// As [`set_names`](Self::set_names).
    pub fn add_names(&self, image: &Id, names: &[String]) -> Result<()> {
        self.change_names(image, |old| names.iter().chain(old).cloned().collect())
    }

    /// Gives an image more names, which come behind those that it has.
    ///
    /// # Errors
    /// As [`set_names`](Self::set_names).
    pub fn append_names(&self, image: &Id, names: &[String]) -> Result<()> {
        self.change_names(image, |old| old.iter().chain(names).cloned().collect())
    }

    /// Takes names away from an image; those that it does not have are no error.
    ///
    /// # Errors
    /// As [`set_names`](Self::set_names).
    pub fn remove_names(&self, image: &Id, names: &[String]) -> Result<()> {
        self.change_names(image, |old| {
            old.iter().filter(|name| !names.contains(name)).cloned().collect()
        })
    }

    fn change_names(
        &self,
        image: &Id,
        change: impl FnOnce(&[String]) -> Vec<String>,
    ) -> Result<()> {
        let held = self.inner.hold().images::<Writing>()?;
        let mut book = held.image_book()?;
        let record = adopt(&self.inner, &mut book, image)?;
        let names = deduplicated(change(&record.names))?;
        if names == record.names {
            return Ok(());
        }
        assign_names(&mut book, image, names);
        held.save_images(&mut book)?;
        drop(held);
        self.sweep();
        Ok(())
    }

    /// Writes one of an image's files and remembers its size and its digest. Up to 64 MiB.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for the image; [`ErrorKind::InvalidName`] for a key that cannot be
    /// the name of a file; [`ErrorKind::LimitExceeded`]; otherwise as
    /// [`set_names`](Self::set_names).
    pub fn set_image_data(&self, image: &Id, key: &str, bytes: &[u8]) -> Result<()> {
        check_data(key, bytes)?;
        let held: Held<'_, Free, Writing> = self.inner.hold().images::<Writing>()?;
        let mut book = held.image_book()?;
        let record = adopt(&self.inner, &mut book, image)?;
        let place = book.place_of(image.as_str()).unwrap_or(IMAGE_PLACE);
        let directory = self.inner.places[place].big_data_directory(Kind::Image, image);
        superseded::take_back(&directory, &record)?;
        write_data(&self.inner, place, &record, key, bytes)?;
        drop(record);
        book.change(image, |record| note_data(record, key, bytes));
        held.save_images(&mut book)?;
        superseded::forget(&directory);
        Ok(())
    }

    /// Replaces the free text of an image's record.
    ///
    /// # Errors
    /// As [`set_names`](Self::set_names).
    pub fn set_image_metadata(&self, image: &Id, metadata: &str) -> Result<()> {
        let held = self.inner.hold().images::<Writing>()?;
        let mut book = held.image_book()?;
        adopt(&self.inner, &mut book, image)?;
        book.change(image, |record| metadata.clone_into(&mut record.metadata));
        held.save_images(&mut book)
    }
}

/// Drops names that stand there twice; refuses empty ones.
pub(crate) fn deduplicated(names: Vec<String>) -> Result<Vec<String>> {
    let mut kept: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        if name.is_empty() {
            return Err(Error::new(ErrorKind::InvalidName, "naming an image", "\"\"")
                .with_detail("a name is empty"));
        }
        if !kept.contains(&name) {
            kept.push(name);
        }
    }
    Ok(kept)
}

/// Gives an image exactly these names, and no other image any of them.
///
/// Source: containers/storage, `images.go`, `updateNames`.
pub(crate) fn assign_names(book: &mut Book<ImageRecord>, image: &Id, names: Vec<String>) {
    for name in &names {
        let other = book.by_name(name).map(|record| record.id.clone());
        if let Some(other) = other.filter(|other| other != image) {
            book.change(&other, |record| record.names.retain(|own| own != name));
        }
    }
    book.change(image, |record| {
        names.iter().for_each(|name| record.remember_name(name));
        record.names = names;
    });
}

/// The image that is to be changed; one of an additional store is copied into the store first.
pub(crate) fn adopt(
    store: &Inner,
    book: &mut Book<ImageRecord>,
    image: &Id,
) -> Result<Arc<ImageRecord>> {
    if let Some(record) = book.by_id(image.as_str()) {
        return Ok(Arc::clone(record));
    }
    let tables = store.tables::<ImageRecord>()?;
    let found = tables.iter().find_map(|(place, table)| {
        table.by_id(image.as_str()).map(|record| (*place, Arc::clone(record)))
    });
    let (place, record) = found.ok_or_else(|| not_found("finding the image", image))?;
    let from = store.places[place].big_data_directory(Kind::Image, image);
    for key in &record.big_data_names {
        let path = from.join(big_data::file_name(key));
        if let Some((bytes, _)) = file::read(&path, MAX_BYTES)? {
            write_data(store, IMAGE_PLACE, &record, key, &bytes)?;
        }
    }
    book.put(IMAGE_PLACE, ImageRecord::clone(&record));
    Ok(record)
}

/// Refuses what cannot be big data.
pub(crate) fn check_data(key: &str, bytes: &[u8]) -> Result<()> {
    if !big_data::is_key(key) {
        return Err(Error::new(ErrorKind::InvalidName, "storing", quoted(key))
            .with_detail("it cannot be the name of a file"));
    }
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::new(ErrorKind::LimitExceeded, "storing", quoted(key))
            .with_detail(format!("it has more than {MAX_BYTES} bytes")));
    }
    Ok(())
}

/// Writes a file of an image whose record is about to mean it. What that means so far stays beside it: whoever has
/// saved the record calls [`superseded::forget`].
pub(crate) fn write_data(
    store: &Inner,
    place: usize,
    record: &ImageRecord,
    key: &str,
    bytes: &[u8],
) -> Result<()> {
    let directory = store.places[place].big_data_directory(Kind::Image, &record.id);
    if fs::symlink_metadata(&directory).is_err() {
        file::make_directories(&directory, 0o700)?;
    }
    superseded::keep(&directory, record, key)?;
    let path = directory.join(big_data::file_name(key));
    file::replace(&path, bytes, 0o600, store.options.durability)
}

/// Notes a file of an image in its record.
///
/// Source: containers/storage, `images.go`, `SetBigData`.
pub(crate) fn note_data(record: &mut ImageRecord, key: &str, bytes: &[u8]) {
    let is_manifest = key.starts_with("manifest");
    let raw = is_manifest.then(|| RawManifest::guess(bytes.to_vec()).ok()).flatten();
    let digest = match raw {
        // That of a manifest in Docker's first format leaves its signatures out.
        Some(raw) => raw.digest().clone(),
        None => Hasher::digest(Algorithm::Sha256, bytes),
    };
    record.big_data_sizes.insert(key.to_owned(), bytes.len() as i64);
    record.big_data_digests.insert(key.to_owned(), digest);
    if !record.big_data_names.iter().any(|own| own == key) {
        record.big_data_names.push(key.to_owned());
    }
}
