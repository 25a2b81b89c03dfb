//! Reading images.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cask_image::{Digest, Hasher};
use cask_json::quoted;
use serde::Deserialize;

use crate::big_data::{self, MAX_BYTES};
use crate::cache::not_found;
use crate::place::Kind;
use crate::record::{ImageRecord, LayerRecord};
use crate::table::Table;
use crate::{Error, ErrorKind, Id, Image, Result, Store, file, superseded};

/// The shortest part of an ID that stands for an image where a name could be meant.
pub(crate) const LEAST_ID_PREFIX: usize = 3;

impl Store {
    /// All images: those of the store in the order in which they came, then those of additional
    /// stores that are not in the store too.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    pub fn images(&self) -> Result<Vec<Image>> {
        let tables = self.inner.tables::<ImageRecord>()?;
        let mut seen = HashSet::new();
        let mut images = Vec::new();
        for (place, table) in &tables {
            let new = table.records().filter(|record| seen.insert(&record.id));
            images.extend(new.map(|record| self.image_view(*place, record)));
        }
        Ok(images)
    }

    /// The image with an ID, if there is one.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    pub fn image(&self, id: &Id) -> Result<Option<Image>> {
        self.first_image(|table| table.by_id(id.as_str()))
    }

    /// The image with a name, if there is one: exactly as it is stored, with the registry and the
    /// tag or digest.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    pub fn image_by_name(&self, name: &str) -> Result<Option<Image>> {
        self.first_image(|table| table.by_name(name))
    }

    /// The images that have a manifest with this digest.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    pub fn images_by_digest(&self, digest: &Digest) -> Result<Vec<Image>> {
        let mut found = Vec::new();
        for (place, table) in self.inner.tables::<ImageRecord>()? {
            let matching = table.mentioning(digest.hex());
            let matching = matching.filter(|record| record.digests().contains(digest));
            found.extend(matching.map(|record| self.image_view(place, record)));
        }
        Ok(found)
    }

    /// The image whose ID begins so, if there is exactly one; with nothing begins none.
    ///
    /// # Errors
    /// [`ErrorKind::Ambiguous`] where there are several; [`ErrorKind::Denied`] and
    /// [`ErrorKind::Io`].
    pub fn image_by_id_prefix(&self, prefix: &str) -> Result<Option<Image>> {
        if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(None);
        }
        let mut found: Option<Image> = None;
        for (place, table) in self.inner.tables::<ImageRecord>()? {
            for record in table.mentioning(prefix).filter(|r| r.id.as_str().starts_with(prefix)) {
                match &found {
                    Some(other) if other.id != record.id => {
                        return Err(Error::new(
                            ErrorKind::Ambiguous,
                            "finding the image",
                            quoted(prefix),
                        )
                        .with_detail("the IDs of several images begin so"));
                    }
                    Some(_) => {}
                    None => found = Some(self.image_view(place, record)),
                }
            }
        }
        Ok(found)
    }

    /// The image with an ID, a name, or an ID that begins so, in this order.
    ///
    /// Names are taken as they are; [`find`](Self::find) takes them as users write them.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Ambiguous`], [`ErrorKind::Denied`] and
    /// [`ErrorKind::Io`].
    pub fn image_named(&self, text: &str) -> Result<Image> {
        if let Some(image) = self.first_image(|table| table.by_id(text))? {
            return Ok(image);
        }
        if let Some(image) = self.image_by_name(text)? {
            return Ok(image);
        }
        let image = match text.len() < LEAST_ID_PREFIX {
            true => None,
            false => self.image_by_id_prefix(text)?,
        };
        image.ok_or_else(|| not_found("finding the image", quoted(text)))
    }

    fn first_image<'a>(
        &self,
        find: impl for<'t> Fn(&'t Table<ImageRecord>) -> Option<&'t Arc<ImageRecord>> + 'a,
    ) -> Result<Option<Image>> {
        for (place, table) in self.inner.tables::<ImageRecord>()? {
            if let Some(record) = find(&table) {
                return Ok(Some(self.image_view(place, record)));
            }
        }
        Ok(None)
    }

    pub(crate) fn image_view(&self, place: usize, record: &Arc<ImageRecord>) -> Image {
        let read_only = self.inner.is_read_only(place);
        Image { record: Arc::clone(record), place, read_only }
    }

    /// The bytes of one of an image's files: `manifest`, `manifest-sha256:…`, the config under its
    /// digest, `signature-…`. Up to 64 MiB.
    ///
    /// Files whose record has a digest are checked against it. One that somebody has changed since
    /// the record was read is as the record is now.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where the image has no such file;
    /// [`ErrorKind::DigestMismatch`] where it was damaged.
    pub fn image_data(&self, image: &Image, key: &str) -> Result<Vec<u8>> {
        let mut image = image.clone();
        loop {
            let read = self.recorded_data(&image, key);
            if !read.as_ref().is_err_and(|error| error.kind() == ErrorKind::DigestMismatch) {
                return read;
            }
            let digest = |image: &Image| image.big_data_digests.get(key).cloned();
            match self.image(&image.id)? {
                Some(now) if digest(&now) != digest(&image) => image = now,
                _ => return read,
            }
        }
    }

    /// The file that a record means.
    fn recorded_data(&self, image: &Image, key: &str) -> Result<Vec<u8>> {
        let subject = || format!("{} of image {}", quoted(key), image.id);
        let missing = || not_found("reading", subject());
        if !big_data::is_key(key) {
            return Err(missing());
        }
        let place = &self.inner.places[image.place];
        let directory = place.big_data_directory(Kind::Image, &image.id);
        let path = directory.join(big_data::file_name(key));
        let (bytes, _) = file::read(&path, MAX_BYTES)?.ok_or_else(missing)?;
        let Some(expected) = image.big_data_digests.get(key) else { return Ok(bytes) };
        if superseded::is_meant(key, &bytes, expected) {
            return Ok(bytes);
        }
        superseded::read(&directory, image, key).ok_or_else(|| {
            let found = Hasher::digest(expected.algorithm(), &bytes);
            Error::new(ErrorKind::DigestMismatch, "reading", subject())
                .with_detail(format!("the file has the digest {found}"))
        })
    }

    /// The sizes of all images in bytes, by ID: their files and the tar streams of their layers.
    ///
    /// Layers that several images share are counted for each. Layers of unknown size count
    /// nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    pub fn image_sizes(&self) -> Result<HashMap<Id, u64>> {
        let sized = self.images_with_sizes()?;
        Ok(sized.into_iter().map(|(image, size)| (image.id.clone(), size)).collect())
    }

    /// All images, as [`images`](Self::images) gives them, with their sizes in bytes, as
    /// [`image_sizes`](Self::image_sizes) does.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    pub fn images_with_sizes(&self) -> Result<Vec<(Image, u64)>> {
        self.inner.snapshot(|| {
            let images = self.images()?;
            let texts = self.inner.texts::<LayerRecord>()?;
            let mut sizes = LayerSizes::default();
            let read = texts.iter().all(|table| sizes.add_text(table));
            let tables = if read { Vec::new() } else { self.inner.tables::<LayerRecord>()? };
            tables.iter().for_each(|(_, table)| sizes.add_records(table));
            let with_size = |image: Image| {
                let files: i64 = image.big_data_sizes.values().sum();
                let layers = image.top_layer.as_ref().map_or(0, |top| sizes.chain(top.as_str()));
                (image, u64::try_from(files).unwrap_or(0) + layers)
            };
            Ok(images.into_iter().map(with_size).collect())
        })
    }
}

/// What sizes need of an entry of `layers.json`.
#[derive(Deserialize)]
struct LayerSize<'a> {
    id: &'a str,
    #[serde(default)]
    parent: Option<&'a str>,
    #[serde(default, rename = "diff-size")]
    diff_size: i64,
}

/// The parent and the size of every layer.
#[derive(Default)]
struct LayerSizes<'a> {
    layers: HashMap<&'a str, (Option<&'a str>, u64)>,
}

impl<'a> LayerSizes<'a> {
    /// Takes the layers of a file without reading all that it says of them; says whether that
    /// went.
    fn add_text(&mut self, table: &'a Table<LayerRecord>) -> bool {
        if table.is_of_no_text() {
            return true;
        }
        let Some(layers) = table.fields::<LayerSize<'a>>() else { return false };
        let positive = |size: i64| u64::try_from(size).unwrap_or(0);
        self.layers.reserve(layers.len());
        self.layers.extend(layers.iter().map(|l| (l.id, (l.parent, positive(l.diff_size)))));
        true
    }

    fn add_records(&mut self, table: &'a Table<LayerRecord>) {
        let positive = |size: i64| u64::try_from(size).unwrap_or(0);
        self.layers.extend(table.records().map(|layer| {
            let parent = layer.parent.as_ref().map(Id::as_str);
            (layer.id.as_str(), (parent, positive(layer.diff_size_bytes)))
        }));
    }

    /// The sizes of a layer and those below it.
    fn chain(&self, top: &str) -> u64 {
        let mut sum = 0;
        let mut next = Some(top);
        // A chain cannot be longer than there are layers, unless it is a circle.
        for _ in 0..self.layers.len() {
            let Some((parent, size)) = next.and_then(|id| self.layers.get(id)) else { break };
            sum += size;
            next = *parent;
        }
        sum
    }
}
