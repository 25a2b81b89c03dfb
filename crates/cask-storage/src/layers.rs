//! Reading layers.

use std::collections::HashSet;
use std::sync::Arc;

use cask_image::Digest;

use crate::cache::not_found;
use crate::record::LayerRecord;
use crate::{Error, ErrorKind, Id, Layer, Result, Store};

/// The longest chain of layers; the kernel mounts up to 500.
pub(crate) const MAX_CHAIN: usize = 4096;

impl Store {
    /// All layers, those of containers included; not those that are being made or deleted.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    pub fn layers(&self) -> Result<Vec<Layer>> {
        let mut seen = HashSet::new();
        let mut layers = Vec::new();
        for (place, table) in self.inner.tables::<LayerRecord>()? {
            let complete = table.records().filter(|record| !record.is_incomplete());
            let new = complete.filter(|record| seen.insert(record.id.clone()));
            layers.extend(new.map(|record| self.layer_view(place, record)));
        }
        Ok(layers)
    }

    /// The layer with an ID, if there is one that is complete.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    pub fn layer(&self, id: &Id) -> Result<Option<Layer>> {
        for (place, table) in self.inner.tables::<LayerRecord>()? {
            let found = table.by_id(id.as_str()).filter(|record| !record.is_incomplete());
            if let Some(record) = found {
                return Ok(Some(self.layer_view(place, record)));
            }
        }
        Ok(None)
    }

    /// A layer and all below it, the base last.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where one of them is missing; [`ErrorKind::Corrupt`] where they form
    /// a circle; [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    pub fn layer_chain(&self, top: &Id) -> Result<Vec<Layer>> {
        let tables = self.inner.tables::<LayerRecord>()?;
        let mut chain: Vec<Layer> = Vec::new();
        let mut next = Some(top.clone());
        while let Some(id) = next {
            if chain.len() == MAX_CHAIN {
                return Err(Error::new(ErrorKind::Corrupt, "following the parents of layer", top)
                    .with_detail(format!("there are more than {MAX_CHAIN}")));
            }
            let found = tables.iter().find_map(|(place, table)| {
                let record = table.by_id(id.as_str()).filter(|record| !record.is_incomplete())?;
                Some(self.layer_view(*place, record))
            });
            let layer = found.ok_or_else(|| not_found("finding layer", &id))?;
            next = layer.parent.clone();
            chain.push(layer);
        }
        Ok(chain)
    }

    /// The layers whose uncompressed tar stream has this digest.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    pub fn layers_by_diff_digest(&self, digest: &Digest) -> Result<Vec<Layer>> {
        self.layers_with(digest, |layer| layer.diff_digest.as_ref())
    }

    /// The layers that came as a blob with this digest.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    pub fn layers_by_compressed_digest(&self, digest: &Digest) -> Result<Vec<Layer>> {
        self.layers_with(digest, |layer| layer.compressed_digest.as_ref())
    }

    fn layers_with(
        &self,
        digest: &Digest,
        field: impl Fn(&LayerRecord) -> Option<&Digest>,
    ) -> Result<Vec<Layer>> {
        let mut found = Vec::new();
        for (place, table) in self.inner.tables::<LayerRecord>()? {
            let mentioning = table.mentioning(digest.hex());
            let complete = mentioning.filter(|record| !record.is_incomplete());
            let matching = complete.filter(|record| field(record) == Some(digest));
            found.extend(matching.map(|record| self.layer_view(place, record)));
        }
        Ok(found)
    }

    pub(crate) fn layer_view(&self, place: usize, record: &Arc<LayerRecord>) -> Layer {
        let read_only = self.inner.is_read_only(place);
        Layer { record: Arc::clone(record), place, read_only }
    }
}
