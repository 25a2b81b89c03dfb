//! Images in Docker's first format.

use cask_image::{
    Descriptor, Digest, ImageManifest, LayerCompression, MediaType, Schema1, Schema1Blob,
    Schema1Layer,
};
use cask_transport::{BlobKind, Body as _, Result};

use super::Decider;
use super::image::{conversion_error, diff_ids};
use crate::graph::Node;
use crate::plan::ManifestWork;
use crate::transform::LayerBody;

impl Decider<'_> {
    /// A schema 1 image: kept where the destination takes it, else converted, for which every
    /// layer has to be read: nothing else tells the digests of the plain tars.
    pub(super) async fn schema1(
        &mut self,
        node: &Node,
        schema1: &Schema1,
    ) -> Result<(ManifestWork, Vec<String>)> {
        let is_held = self.holds(node.raw.media_type());
        let wants_other = self.options.format.is_some()
            || self.wants_zstd(node)
            || self.options.layers.wanted == crate::LayersWanted::Decompress;
        if is_held && !wants_other {
            let mut blobs = Vec::with_capacity(schema1.layers.len());
            for layer in &schema1.layers {
                let blob = self.schema1_blob(layer).await?;
                blobs.push(self.add_copy(&blob, BlobKind::Layer { diff_id: None })?);
            }
            return Ok((ManifestWork::Keep { blobs }, Vec::new()));
        }
        let reason = if is_held {
            "schema 1 manifests cannot be what is asked for".to_owned()
        } else {
            format!("{} cannot hold {}", self.destination, node.raw.media_type())
        };
        // Before anything is read for nothing.
        self.check_changeable(node, std::slice::from_ref(&reason))?;
        let (manifest, config) = self.convert_schema1(node, schema1).await?;
        let config_diff_ids = diff_ids(&manifest.config.digest, &config)?;
        self.image_with_config(node, &manifest, (config, config_diff_ids), vec![reason])
    }

    async fn convert_schema1(
        &self,
        node: &Node,
        schema1: &Schema1,
    ) -> Result<(ImageManifest, bytes::Bytes)> {
        let mut blobs = Vec::new();
        let mut known = std::collections::HashMap::<Digest, Schema1Blob>::new();
        for layer in schema1.layers.iter().filter(|layer| !layer.is_empty) {
            if let Some(blob) = known.get(&layer.digest) {
                blobs.push(blob.clone());
                continue;
            }
            let descriptor = self.schema1_blob(layer).await?;
            let size = descriptor.size;
            let limits = self.options.layers.limits;
            let body = LayerBody::unpacked(self.source.clone(), descriptor, limits);
            let blob = Schema1Blob { size, diff_id: body.measure().await?.digest };
            known.insert(layer.digest.clone(), blob.clone());
            blobs.push(blob);
        }
        let conversion = schema1
            .to_docker(&blobs)
            .map_err(|error| conversion_error(&node.descriptor.digest, error))?;
        let mut manifest = conversion.manifest;
        for (layer, blob) in manifest.layers.iter_mut().zip(&blobs) {
            // The conversion says gzip of every layer; of this one it is known to be wrong.
            if layer.digest == blob.diff_id {
                layer.media_type = MediaType::DockerLayer(LayerCompression::None);
            }
        }
        // The config is made here: the source has none that it could be compared with.
        Ok((manifest, conversion.config.unwrap_or_default()))
    }

    async fn schema1_blob(&self, layer: &Schema1Layer) -> Result<Descriptor> {
        let size = self.source.blob_size(&layer.digest).await?;
        let media_type = MediaType::DockerLayer(LayerCompression::Gzip);
        Ok(Descriptor::new(media_type, layer.digest.clone(), size))
    }
}
