//! Mending what can be put together again from what is there.

use std::io::Read as _;
use std::path::PathBuf;

use crate::delete::Books;
use crate::driver::overlay;
use crate::names::IMAGE_PLACE;
use crate::record::LayerRecord;
use crate::warning::Warning;
use crate::{DriverKind, Error, Result, Store, file, kept, rebuild};

impl Store {
    /// Mends what can be put together from what is there; says what that was.
    ///
    /// JSON files that make no sense are written again from their last good generation and from
    /// the disk; the old ones stay beside them as `.damaged`. Layers get the short links back by which
    /// old releases mount them, and the recipes for their tar streams, where their files give the same stream once
    /// more. Blobs that are kept and are not as long as their layer says go. Images
    /// whose layers are lost stay: see [`broken_images`](Self::broken_images).
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`](crate::ErrorKind::ReadOnly),
    /// [`ErrorKind::Locked`](crate::ErrorKind::Locked),
    /// [`ErrorKind::NoSpace`](crate::ErrorKind::NoSpace),
    /// [`ErrorKind::Denied`](crate::ErrorKind::Denied) and [`ErrorKind::Io`](crate::ErrorKind::Io).
    pub fn repair(&self) -> Result<Vec<Warning>> {
        let inner = &self.inner;
        let held = inner.hold_all()?;
        let mut books = Books::load(&held)?;
        let mut files: Vec<PathBuf> = books.layers.mend(inner)?;
        files.extend(books.images.mend(inner)?);
        files.extend(books.containers.mend(inner)?);
        held.save_layers(&mut books.layers)?;
        held.save_images(&mut books.images)?;
        held.save_containers(&mut books.containers)?;
        let mut mended: Vec<Warning> = files
            .iter()
            .map(|path| Warning::new(path, "it was written again".to_owned()))
            .collect();
        if self.driver() == DriverKind::Overlay {
            mended.extend(self.mend_links(&books)?);
        }
        mended.extend(self.mend_recipes(&mut books)?);
        held.save_layers(&mut books.layers)?;
        mended.extend(self.drop_wrong_blobs()?);
        Ok(mended)
    }

    /// Writes again the recipes for tar streams that the files still give, and notes what they tell of layers whose
    /// records were lost.
    fn mend_recipes(&self, books: &mut Books) -> Result<Vec<Warning>> {
        let mut mended = Vec::new();
        let layers: Vec<_> = books.layers.records().cloned().collect();
        for layer in layers {
            let Some(place) = books.layers.place_of(layer.id.as_str()) else { continue };
            let path = self.inner.places[place].tar_split_path(&layer.id);
            if layer.is_incomplete() || layer.diff_digest.is_none() || path.exists() {
                continue;
            }
            let Some(layer) = self.layer(&layer.id)? else { continue };
            let Ok(mut recipe) = self.recipe_anew(&layer) else { continue };
            let mut bytes = Vec::new();
            recipe.read_to_end(&mut bytes).map_err(|e| Error::io(e, "reading", &path))?;
            file::replace(&path, &bytes, 0o600, self.options().durability)?;
            if layer.diff_size_bytes == rebuild::UNKNOWN_SIZE {
                let place = &self.inner.places[place];
                books.layers.change(&layer.id, |record| {
                    rebuild::note_recipe(record, place);
                });
            }
            mended.push(Warning::new(&path, "it was lost, and was made again".to_owned()));
        }
        Ok(mended)
    }

    fn mend_links(&self, books: &Books) -> Result<Vec<Warning>> {
        let inner = &self.inner;
        let own = |layer: &&std::sync::Arc<LayerRecord>| {
            let place = books.layers.place_of(layer.id.as_str());
            !layer.is_incomplete()
                && place.is_some_and(|at| inner.places[at].layer_files(&layer.id).is_dir())
        };
        let layers: Vec<_> = books.layers.records().filter(own).cloned().collect();
        let place_of = |layer: &LayerRecord| {
            let at = books.layers.place_of(layer.id.as_str()).unwrap_or_default();
            &inner.places[at]
        };
        let wrong: Vec<_> = layers
            .iter()
            .filter_map(|layer| {
                let why = overlay::wrong_link(inner, place_of(layer), layer)?;
                Some((layer, why))
            })
            .collect();
        // First each its own link, then those that lead to the layers below.
        for layer in &layers {
            overlay::mend_link(place_of(layer), &layer.id)?;
        }
        let mut mended = Vec::new();
        for (layer, why) in wrong {
            let path = place_of(layer).layer_directory(&layer.id);
            if overlay::wrong_link(inner, place_of(layer), layer).is_some() {
                let chain = self.layer_chain(&layer.id)?;
                let lowers: Vec<_> = chain.iter().skip(1).map(|lower| lower.id.clone()).collect();
                let found_by =
                    overlay::Lowers::of(inner, &lowers, &std::collections::HashMap::new())?;
                found_by.write(&path)?;
            }
            mended.push(Warning::new(&path, format!("{why}; it is there again")));
        }
        Ok(mended)
    }

    fn drop_wrong_blobs(&self) -> Result<Vec<Warning>> {
        let mut dropped = Vec::new();
        for blob in kept::list(&self.inner.places[IMAGE_PLACE]) {
            let layers = self.layers_by_compressed_digest(&blob.digest)?;
            let is_wrong =
                |size: i64| u64::try_from(size).is_ok_and(|size| size != blob.size_bytes);
            if layers.iter().any(|layer| is_wrong(layer.compressed_size_bytes)) {
                self.delete_kept_blob(&blob.digest)?;
                dropped
                    .push(Warning::new(&blob.path, "it had another size and is gone".to_owned()));
            }
        }
        Ok(dropped)
    }
}
