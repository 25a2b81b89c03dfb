//! Images whose place has their layers in another form than their manifest names.

use std::collections::{HashMap, HashSet};

use cask_image::{
    ConversionError, Descriptor, Digest, ImageManifest, LayerChange, LayerCompression,
};
use cask_transport::{
    BlobKind, BlobSpec, Capabilities, Error, Have, LayerForm, Measured, Result, Transaction,
    VerifiedSource,
};

use crate::graph::{Content, Graph};
use crate::{CopyOptions, LayersWanted};

/// What the source has of the layers of images, where it is not what their manifests name; and
/// which of those the destination has as they are named. Nobody need make these: the source once
/// had them from there.
#[derive(Default)]
pub(crate) struct HeldLayers {
    images: HashMap<Digest, Vec<Measured>>,
    named: HashMap<Digest, Have>,
}

impl HeldLayers {
    /// Asks the source.
    ///
    /// # Errors
    /// As for reading its manifests.
    pub(crate) async fn read(source: &VerifiedSource, graph: &Graph) -> Result<Self> {
        let mut this = Self::default();
        for node in graph.nodes() {
            let Content::Image(image) = &node.content else { continue };
            if !image.is_artifact()
                && let Some(held) = source.held_layers(&node.descriptor).await?
            {
                this.images.insert(node.descriptor.digest.clone(), held);
            }
        }
        Ok(this)
    }

    /// The layers of an image in the form in which they can be had, in the order of its manifest;
    /// `None` where all are as it names them.
    pub(crate) fn of(&self, manifest: &Digest, image: &ImageManifest) -> Option<Vec<Measured>> {
        let held = self.images.get(manifest)?;
        let form = |(held, layer): (&Measured, &Descriptor)| match self.named(&layer.digest) {
            Some(_) => Measured::from(layer),
            None => held.clone(),
        };
        Some(held.iter().zip(&image.layers).map(form).collect())
    }

    /// The layers of an image as the source can give them, whatever the destination has.
    pub(crate) fn given(&self, manifest: &Digest) -> Option<Vec<Measured>> {
        self.images.get(manifest).cloned()
    }

    /// The layers that the source cannot give as manifests name them, where a manifest could go on
    /// naming them; each once.
    pub(crate) fn unnamed(
        &self,
        graph: &Graph,
        capabilities: &Capabilities,
        options: &CopyOptions,
    ) -> Vec<BlobSpec> {
        if !capabilities.tells_freely || !may_stay(capabilities, options) {
            return Vec::new();
        }
        let mut seen = HashSet::new();
        let mut specs = Vec::new();
        for node in graph.nodes() {
            let Content::Image(image) = &node.content else { continue };
            let Some(held) = self.images.get(&node.descriptor.digest) else { continue };
            let stays = options.format.is_none_or(|format| format == image.format)
                && capabilities.manifest_types.contains(&image.format.manifest_type());
            for (layer, held) in image.layers.iter().zip(held) {
                let is_compressed = !matches!(
                    layer.media_type.layer_compression(),
                    None | Some(LayerCompression::None)
                );
                if stays
                    && is_compressed
                    && layer.digest != held.digest
                    && seen.insert(&layer.digest)
                {
                    specs.push(BlobSpec {
                        kind: BlobKind::Layer { diff_id: Some(held.digest.clone()) },
                        media_type: layer.media_type.clone(),
                        measured: Some(Measured::from(layer)),
                    });
                }
            }
        }
        specs
    }

    /// Asks a destination which of these layers it has.
    ///
    /// # Errors
    /// As for asking it for anything.
    pub(crate) async fn ask(
        &mut self,
        transaction: &dyn Transaction,
        specs: &[BlobSpec],
    ) -> Result<()> {
        let have = transaction.have(specs).await.map_err(Error::not_found_is_missing)?;
        for (spec, have) in specs.iter().zip(have) {
            let is_there = matches!(have, Have::Exact | Have::Mountable { .. });
            if let (true, Some(Measured { digest, .. })) = (is_there, &spec.measured) {
                self.named.insert(digest.clone(), have);
            }
        }
        Ok(())
    }

    /// What the destination has of a layer that the source cannot give.
    pub(crate) fn named(&self, layer: &Digest) -> Option<&Have> {
        self.named.get(layer)
    }

    /// Takes note that the destination does not have layers after all.
    pub(crate) fn withdraw(&mut self, layers: &[Digest]) {
        for layer in layers {
            self.named.remove(layer);
        }
    }
}

/// Whether layers that are compressed may stay so, at whatever level somebody else did it.
fn may_stay(capabilities: &Capabilities, options: &CopyOptions) -> bool {
    let wanted = match options.layers.wanted {
        LayersWanted::AsDestinationWants | LayersWanted::Keep | LayersWanted::CompressPlain(_) => {
            true
        }
        LayersWanted::Compress(_) | LayersWanted::Decompress => false,
    };
    wanted && capabilities.keeps_manifests && capabilities.layer_form != LayerForm::Uncompressed
}

/// The image with the layers that its place has, in the order of the manifest.
pub(crate) fn as_held(
    image: &ImageManifest,
    held: &[Measured],
) -> Result<ImageManifest, ConversionError> {
    let change = |(layer, held): (&Descriptor, &Measured)| match layer.digest == held.digest {
        true => LayerChange::keep(layer),
        false => {
            let plain = LayerCompression::None;
            LayerChange::recompressed(layer, held.digest.clone(), held.size, plain)
        }
    };
    let changes: Vec<_> = image.layers.iter().zip(held).map(change).collect();
    image.with_layers(&changes)
}
